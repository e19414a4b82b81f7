"""A float AdderNet to a quantized one: integer codes in every adder layer, each then fused with what follows it."""

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn

from AdderQuant.network import FusedBlock, adder_layers
from AdderQuant.quant import QuantAdder2d, quantize_adder
from AdderQuant.quant_config import QuantConfig
from AdderQuant.shifted import ShiftedAdder
from common.models.adder import Adder2d
from common.models.resnet_cifar import BasicBlock
from common.quant.conv_geometry import ConvGeometry
from common.quant.conversion import replace_cells


def quantize_network(
    network: nn.Cell,
    config: QuantConfig,
    ranges: Mapping[str, float] | None = None,
    offsets: Mapping[str, float] | None = None,
) -> nn.Cell:
    """Replace every adder layer of a float network by one on integers, in place; all else is kept.

    Args:
        network: float.
        config: bits, scheme and so on.
        ranges: R_x of every layer, to which the codes are made; None leaves the codes to be filled from a file.
        offsets: what the inputs of the signed layers are shifted by, > 0.

    Returns:
        The same network, its layers not fused yet.

    Raises:
        QuantizationError: weights that are not finite, or a range that is not positive.
    """
    layers = {}
    for name, layer in adder_layers(network).items():
        signed = name in config.signed
        layers[name] = ShiftedAdder(layer, config) if signed else quantized_layer(layer, config)
        if ranges is None:
            continue
        offset, adder = 0.0, layers[name]
        if signed:
            offset, adder = offsets[name], adder.adder
            layers[name].offset.set_data(Tensor(np.array([offset], np.float32)))
        choice = config.bits, config.groups, config.scheme, config.seed
        adder.set_codes(*quantize_adder(layer.weight.asnumpy() + np.float32(offset), ranges[name] + offset, *choice))
    return replace_cells(network, layers)


def quantized_layer(layer: Adder2d, config: QuantConfig, native: bool | None = None) -> QuantAdder2d:
    """The layer on integers in the place of a float one, without codes yet."""
    filters, channels, kernel, _ = layer.weight.shape
    windows = layer.stride, layer.padding
    geometry = ConvGeometry((kernel,) * 2, (layer.stride,) * 2, layer.sides, (layer.dilation,) * 2)
    return QuantAdder2d(channels, filters, kernel, *windows, config.scale_groups, native, layer.around, geometry)


def fuse(network: nn.Cell) -> nn.Cell:
    """Compute each quantized layer with its BatchNorm, residual and ReLU in one operator, in place (inference alone).

    The parameters stay the same; logits agree to float rounding.
    """
    blocks = {name: cell for name, cell in network.cells_and_names() if type(cell) is BasicBlock}
    return replace_cells(network, {name: FusedBlock(block) for name, block in blocks.items()})
