"""A float network of convolutions and linear layers to a quantized one, and what its training begins with."""

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from common.models.layers import weighted_layers
from common.quant.calibration import best_clip, calibration_batches, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from DAMBQ.quant import EightBitWeight, MultiBitWeight, UniformActivation
from DAMBQ.quant_config import QuantConfig


def quantize_network(network: nn.Cell, config: QuantConfig | None = None, frozen: bool = False) -> nn.Cell:
    """Replace every convolution and linear layer of a float network, in place, keeping weights and biases.

    The first layer gets 8-bit weights and its input stays float, the last one 8-bit weights and activations, all
    between are multi-bit. Inputs of all but the first must be >= 0, as they are after a ReLU: below 0 they are cut.

        network = quantize_network(MyNetwork())

    Args:
        network: with at least two layers, ``nn.Conv2d`` or ``nn.Dense`` in the order in which they are described.
        config: the default one if None.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.

    Returns:
        The same network.

    Raises:
        ConfigError: fewer than two layers, or one of an unsupported kind.
    """
    config = config or QuantConfig()
    floats = weighted_layers(network)
    if len(floats) < 2:
        raise ConfigError(f"expected a network of at least two convolutions and linear layers, found {len(floats)}")
    names = list(floats)
    ends = [None if frozen else EightBitWeight() for _ in range(2)]
    layers = {names[0]: _layer(floats[names[0]], ends[0], None)}
    for name in names[1:-1]:
        layer = floats[name]
        weights = layer.weight.asnumpy()
        weight = FrozenWeight(len(weights)) if frozen else MultiBitWeight(weights, config.bits, config.table)
        layers[name] = _layer(layer, weight, UniformActivation(layer.in_channels, config.bits, config.activation_clip))
    last = floats[names[-1]]
    layers[names[-1]] = _layer(
        last, ends[1], UniformActivation(last.in_channels, 8, config.activation_clip, allocated=False)
    )
    return replace_cells(network, layers)


def multi_bit_layers(network: nn.Cell) -> dict[str, QuantConv2d | QuantDense]:
    """Those whose bits are allocated: all but the first and the last."""
    names = list(layers := quant_layers(network))
    return {name: layers[name] for name in names[1:-1]}


def calibrated_clips(
    network: nn.Cell, source: ImageSource, preprocessing: Preprocessing, count: int, seed: int, bits: int
) -> dict[str, float]:
    """Clips with the least squared error of the multi-bit layers' inputs, by layer.

    Args:
        network: float.
        source: training images; labels are not used.
        preprocessing: of the network.
        count: how many images, at most all.
        seed: of their choice and augmentation.
        bits: of the activations.
    """
    floats = weighted_layers(network)
    layers = {name: floats[name] for name in list(floats)[1:-1]}
    inputs = sample_inputs(network, layers, calibration_batches(source, preprocessing, count, seed))
    return {name: best_clip(values, bits) for name, values in inputs.items()}


def set_clips(network: nn.Cell, clips: Mapping[str, float]) -> None:
    """Give inputs of a quantized network their clips, by layer."""
    for name, clip in clips.items():
        quant_layers(network)[name].quantize_input.clip.set_data(Tensor(np.array([clip], np.float32)))


def calibrate_last(network: nn.Cell, source: ImageSource, preprocessing: Preprocessing, count: int, seed: int) -> None:
    """Set the clip of the last layer's 8-bit activations to the largest one of ``count`` augmented images.

    Args:
        network: quantized.
        source: training images; labels are not used.
        preprocessing: of the network.
        count: how many images, at most all.
        seed: of their choice and augmentation.
    """
    last = list(quant_layers(network).values())[-1]
    batches = calibration_batches(source, preprocessing, count, seed)
    largest = sample_inputs(network, {"last": last}, batches, thin=lambda x: x.max(keepdims=True).ravel())["last"]
    name = list(quant_layers(network))[-1]
    set_clips(network, {name: float(largest.max(initial=0.0)) or 1.0})


def _layer(layer: nn.Cell, weight: nn.Cell | None, inputs: UniformActivation | None) -> QuantConv2d | QuantDense:
    return (QuantDense if isinstance(layer, nn.Dense) else QuantConv2d)(layer, weight, inputs)
