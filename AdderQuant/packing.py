"""Integers of quantized AdderNets: codes and steps of each adder layer; its inputs are on the weights' own grid."""

from collections.abc import Mapping

import numpy as np
from mindspore import nn

from AdderQuant.network import adder_layers
from common.quant.integer_weight import IntegerLayer
from common.quant.packed_layers import LayerShape


def integer_layers(network: nn.Cell) -> dict[str, IntegerLayer]:
    """The integers of a quantized network, by layer."""
    return {name: IntegerLayer((layer.to_int(),)) for name, layer in adder_layers(network).items()}


def layer_shapes(network: nn.Cell) -> dict[str, LayerShape]:
    """Shapes that the integers of a network must fit, by layer."""
    return {name: LayerShape(layer.codes.shape) for name, layer in adder_layers(network).items()}


def layer_tensors(network: nn.Cell, layers: Mapping[str, IntegerLayer]) -> dict[str, np.ndarray]:
    """The parameters of a network's adder layers that say these integers, biases apart.

    Raises:
        QuantizationError: integers that a layer cannot have.
    """
    tensors = {}
    for name, cell in adder_layers(network).items():
        values = cell.parameters_of(layers[name].weights[0])
        tensors |= {f"{name}.{leaf}": value for leaf, value in values.items()}
    return tensors
