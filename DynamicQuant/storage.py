"""Networks of DynamicQuant in files, see :mod:`common.stored.network`."""

from typing import Any

from mindspore import nn

from common.checkpoint import Checkpoint
from common.stored.format import Format
from common.stored.shipped import FLOAT, Shipped
from common.zoo import known
from DynamicQuant import packing
from DynamicQuant.any_network import conversion
from DynamicQuant.published import Tensors, published_network
from DynamicQuant.quant_config import QuantConfig

METHOD = "DynamicQuant"


def _quantize(network: nn.Cell, settings: dict[str, Any], frozen: bool) -> nn.Cell:
    config = QuantConfig(**settings)
    return conversion(config)(network, config, frozen=frozen)


def _published(content: Checkpoint, architecture: str) -> tuple[Tensors, dict[str, Any]]:
    tensors, metadata = published_network(content, architecture)
    return tensors, {**known.recorded(content.path), "method": METHOD, **metadata}


FORMAT = Format(
    METHOD,
    _quantize,
    packing.integer_layers,
    packing.layer_shapes,
    packing.layer_tensors,
    packing.training_only,
    published=_published,
)
load, load_latent, save_packed = FORMAT.load, FORMAT.load_latent, FORMAT.save_packed
shipped = Shipped({"packed": "DynamicQuant/checkpoints/resnet20_dynamic3_{dataset}.ckpt", "float": FLOAT})
