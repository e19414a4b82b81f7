"""Integers of networks whose quantized layers are ``QuantConv2d`` and ``QuantDense``, and networks of such integers."""

from collections.abc import Mapping

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.errors import QuantizationError
from common.quant.integer_weight import IntegerLayer
from common.quant.layers import quant_layers
from common.quant.packed_layers import LayerShape


def integer_layers(network: nn.Cell) -> dict[str, IntegerLayer]:
    """The integers of a network with latent weights, by layer."""
    layers = {}
    for name, layer in quant_layers(network).items():
        if layer.quantize_weight is None:
            continue  # float weights
        grids = () if layer.quantize_input is None else (layer.quantize_input.grid(),)
        layers[name] = IntegerLayer((layer.quantize_weight.to_int(layer.weight.asnumpy()),), grids)
    return layers


def layer_shapes(network: nn.Cell) -> dict[str, LayerShape]:
    """Shapes that the integers of a network must fit, by layer."""
    return {
        name: LayerShape(layer.weight.shape, 1 if layer.quantize_input is None else len(layer.quantize_input.bits))
        for name, layer in quant_layers(network).items()
    }


def layer_tensors(network: nn.Cell, layers: Mapping[str, IntegerLayer]) -> dict[str, np.ndarray]:
    """The parameters of a frozen network's quantized layers that say these integers.

    Raises:
        QuantizationError: integers that a layer's quantizers cannot have.
    """
    state = network_state.state(network)
    tensors: dict[str, np.ndarray] = {}
    for name, cell in quant_layers(network).items():
        layer = layers[name]
        if (cell.quantize_input is None) != (not layer.grids):
            kinds = ("float inputs", "inputs on a grid")
            wanted, found = kinds if cell.quantize_input is None else reversed(kinds)
            raise QuantizationError(f"{name}: expected {wanted}, found {found}")
        tensors |= {place: value for place, value in state.items() if belongs(place, {name: layer})}
        tensors[f"{name}.weight"] = layer.weights[0].dequantize()
        if layer.bias is not None:
            tensors[f"{name}.bias"] = layer.bias.dequantize()
        parts = {"quantize_weight": layer.weights[0], "quantize_input": layer.grids[0] if layer.grids else None}
        for part, integers in parts.items():
            quantizer = getattr(cell, part)
            if quantizer is not None:
                values = quantizer.parameters_of(integers)
                tensors |= {f"{name}.{part}.{leaf}": value for leaf, value in values.items()}
    return tensors


def belongs(parameter: str, layers: Mapping[str, IntegerLayer]) -> bool:
    """Whether a parameter follows from a layer's integers: all of the layer but a bias that stays float."""
    for name, layer in layers.items():
        if parameter.startswith(f"{name}."):
            return parameter != f"{name}.bias" or layer.bias is not None
    return False
