"""AdderQuant's networks in files, see :mod:`common.stored.format`."""

from typing import Any

from mindspore import nn

from AdderQuant import packing
from AdderQuant.convert import fuse, quantize_network
from AdderQuant.network import ARCHITECTURES
from AdderQuant.quant_config import QuantConfig
from common.stored.format import Format
from common.stored.shipped import Shipped

METHOD = "AdderQuant"


def _quantize(network: nn.Cell, settings: dict[str, Any], _frozen: bool) -> nn.Cell:
    return fuse(quantize_network(network, QuantConfig(**settings)))


FORMAT = Format(
    METHOD,
    _quantize,
    packing.integer_layers,
    packing.layer_shapes,
    packing.layer_tensors,
    remake="eval.py --save_checkpoint",
    architecture=ARCHITECTURES[0],
)
load, save_packed = FORMAT.load, FORMAT.save_packed
shipped = Shipped({"float": "AdderQuant/checkpoints/adder_resnet20_{dataset}.ckpt"})
