"""LDNQ's networks in files, see :mod:`common.stored.format`."""

from typing import Any

from mindspore import nn

from common.errors import ConfigError
from common.stored.format import Format
from common.stored.shipped import FLOAT, Shipped
from LDNQ.activations import put_on_grids
from LDNQ.convert import freeze
from LDNQ.quant_config import PACKED_ACT_BITS, ActivationConfig, QuantConfig

METHOD = "LDNQ"


def _quantize(network: nn.Cell, settings: dict[str, Any], _frozen: bool) -> nn.Cell:
    weights = {name: value for name, value in settings.items() if name != "activations"}
    network = freeze(network, QuantConfig(**weights))
    if "activations" in settings:
        config = ActivationConfig(**settings["activations"])
        if config.bits != PACKED_ACT_BITS:
            raise ConfigError(f"expected activations of {PACKED_ACT_BITS} bits in a file, found {config.bits}")
        put_on_grids(network, config)
    return network


FORMAT = Format(METHOD, _quantize, remake="main.py")
load, save_packed = FORMAT.load, FORMAT.save_packed
shipped = Shipped({"packed": "LDNQ/checkpoints/ternary_resnet20_{dataset}.ckpt", "float": FLOAT})
