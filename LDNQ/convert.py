"""A float network to one whose weights are on LDNQ's levels."""

from collections.abc import Mapping

from mindspore import nn

from common.checkpoint import network_state
from common.quant.conversion import replace_cells
from common.quant.frozen_weight import FrozenWeight
from common.quant.integer_weight import IntegerLayer
from common.quant.layers import QuantConv2d, QuantDense
from common.stored.quantized_layers import belongs, layer_tensors
from LDNQ.network import quantized_layers
from LDNQ.quant_config import QuantConfig


def freeze(network: nn.Cell, config: QuantConfig) -> nn.Cell:
    """Make the layers that are quantized expect weights on their levels, in place; returns the network."""
    frozen = {}
    for name, layer in quantized_layers(network, config).items():
        kind = QuantDense if isinstance(layer, nn.Dense) else QuantConv2d
        frozen[name] = kind(layer, FrozenWeight(), None)
    return replace_cells(network, frozen)


def quantized_network(network: nn.Cell, config: QuantConfig, layers: Mapping[str, IntegerLayer]) -> nn.Cell:
    """The network with the integers of a finished cascade, in place; all else as it is.

    Args:
        network: float, as the cascade has left it.
        config: what the cascade followed.
        layers: integers of each quantized layer, by name.
    """
    rest = {name: value for name, value in network_state.state(network).items() if not belongs(name, layers)}
    freeze(network, config)
    network_state.restore(network, {**rest, **layer_tensors(network, layers)})
    return network
