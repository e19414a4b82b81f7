"""Networks of ProQHA in files, see :mod:`common.stored.network`."""

from typing import Any

from mindspore import nn

from common.checkpoint import Checkpoint
from common.stored.float_network import from_published
from common.stored.format import Format
from common.stored.packing import Tensors
from common.stored.shipped import FLOAT, Shipped
from ProQHA.convert import quantize_network
from ProQHA.network import check_published
from ProQHA.quant_config import QuantConfig

METHOD = "ProQHA"


def _quantize(network: nn.Cell, settings: dict[str, Any], frozen: bool) -> None:
    quantize_network(network, QuantConfig.recorded(settings), frozen=frozen)


def _published(content: Checkpoint, architecture: str) -> tuple[Tensors, dict[str, Any]]:
    check_published(content, architecture)
    return from_published(content, architecture)


FORMAT = Format(
    METHOD, _quantize, trainable="final.ckpt or search.ckpt", remake="train.py or search.py", published=_published
)
load, load_latent, save_packed = FORMAT.load, FORMAT.load_latent, FORMAT.save_packed
shipped = Shipped({"packed": "ProQHA/checkpoints/resnet20_w4_{dataset}.ckpt", "float": FLOAT})
