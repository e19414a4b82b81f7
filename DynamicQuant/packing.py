"""Integers of dynamic networks: of a layer that chooses, one set of codes for each of its candidates.

DoReFa's grids of different widths are not nested: no set of codes follows from another, see
:mod:`common.quant.joint_codes` for how little they take together.
"""

from collections.abc import Mapping

import numpy as np
from mindspore import nn

from common.errors import QuantizationError
from common.quant.integer_weight import IntegerLayer
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.packed_layers import LayerShape
from common.stored import quantized_layers as static
from DynamicQuant.quant import DynamicConv2d


def quantized_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """Static and dynamic layers of a network by name, in the order of its description."""
    kinds = QuantConv2d | QuantDense | DynamicConv2d
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, kinds)}


def integer_layers(network: nn.Cell) -> dict[str, IntegerLayer]:
    """The integers of a network with latent weights, by layer."""
    layers = static.integer_layers(network)
    for name, layer in _dynamic(network).items():
        layers[name] = IntegerLayer(layer.quantize_weight.to_int(layer.weight.asnumpy()), layer.grids())
    return {name: layers[name] for name in quantized_layers(network)}


def layer_shapes(network: nn.Cell) -> dict[str, LayerShape]:
    """Shapes that the integers of a frozen network must fit, by layer."""
    shapes = static.layer_shapes(network)
    shapes |= {name: LayerShape(layer.weight.shape[1:]) for name, layer in _dynamic(network).items()}
    return {name: shapes[name] for name in quantized_layers(network)}


def layer_tensors(network: nn.Cell, layers: Mapping[str, IntegerLayer]) -> dict[str, np.ndarray]:
    """The parameters of a frozen network's quantized layers that say these integers.

    Raises:
        QuantizationError: integers that a layer's quantizers cannot have.
    """
    tensors = static.layer_tensors(network, layers)
    for name, cell in _dynamic(network).items():
        weights, grids = layers[name].weights, layers[name].grids
        bits = [int(weight.bits[0]) for weight in weights]
        if not bits == [int(grid.bits[0]) for grid in grids] == cell.bits.asnumpy().tolist():
            raise QuantizationError(f"{name}: expected candidates of {cell.bits.asnumpy()} bits, found {bits}")
        tensors[f"{name}.weight"] = np.stack([weight.dequantize() for weight in weights])
        tensors |= {f"{name}.bits": np.array(bits, np.int32), f"{name}.clip": grids[0].clip}
    return tensors


def training_only(parameter: str) -> bool:
    """Whether a parameter serves the noise of training alone, so that a frozen network does not have it."""
    return parameter.endswith("noise.state") or parameter == "choose.level"


def _dynamic(network: nn.Cell) -> dict[str, DynamicConv2d]:
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, DynamicConv2d)}
