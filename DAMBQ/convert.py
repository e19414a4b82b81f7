"""A float network of convolutions and linear layers to a quantized one, and what its training begins with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from common.quant.bits_file import read_bits
from common.quant.calibration import best_clip, calibration_batches, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.quant.quantizable import ends_of, quantizable_layers, traced_inputs
from DAMBQ.quant import EightBitWeight, MultiBitWeight, UniformActivation
from DAMBQ.quant_config import QuantConfig
from DAMBQ.tables import MAX_BITS


def settled(
    network: nn.Cell, config: QuantConfig, image_size: int | None = None, images: Iterable[np.ndarray] | None = None
) -> QuantConfig:
    """The configuration with the signed layers, and the first and the last one, named: by one forward pass.

    Args:
        network: float.
        config: what is named already stays.
        image_size: side in pixels of the noise that runs through the network; None: the first usual one that it takes.
        images: batches (N, 3, H, W) in its place.

    Raises:
        ConfigError: a layer that cannot be quantized, named with the reason.
    """
    if config.signed is not None and config.ends is not None:
        return config
    ranges = traced_inputs(network, layers := _layers(network), image_size, images)
    ends = config.ends or ends_of(ranges)
    signed = tuple(name for name in layers if ranges[name].signed and name != ends[0])
    return replace(config, signed=signed if config.signed is None else config.signed, ends=ends)


def quantize_network(
    network: nn.Cell, config: QuantConfig | None = None, frozen: bool = False, image_size: int | None = None
) -> nn.Cell:
    """Replace every convolution and linear layer of a float network, in place, keeping weights and biases.

    The first layer gets 8-bit weights and its input stays float, the last one 8-bit weights and activations, all
    between are multi-bit. Inputs that a trace finds below 0 have levels on both sides of it (:func:`settled`).

        network = quantize_network(MyNetwork())

    Args:
        network: with at least two layers, ``nn.Conv2d`` or ``nn.Dense``.
        config: the default one if None.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.
        image_size: side in pixels of the images of the trace; None: the first usual one that the network takes.

    Returns:
        The same network.

    Raises:
        ConfigError: fewer than two layers, or one of an unsupported kind.
    """
    floats, config = _layers(network), config or QuantConfig()
    if config.signed is None:
        config = settled(network, config, image_size)
    first, last = config.ends or ends_of(floats)
    if unknown := sorted({first, last, *config.signed} - set(floats)):
        raise ConfigError(f"expected names of layers as signed or first and last, found {unknown[0]}")
    layers = {}
    for name, layer in floats.items():
        bits, clip, signed = config.bits, config.activation_clip, name in config.signed
        if name == first:
            layers[name] = _layer(layer, _end(frozen), None)
        elif name == last:
            inputs = UniformActivation(layer.in_channels, 8, clip, allocated=False, signed=signed)
            layers[name] = _layer(layer, _end(frozen), inputs)
        else:
            weights = layer.weight.asnumpy()
            weight = FrozenWeight(len(weights)) if frozen else MultiBitWeight(weights, bits, config.table)
            layers[name] = _layer(layer, weight, UniformActivation(layer.in_channels, bits, clip, signed=signed))
    return replace_cells(network, layers)


def _layers(network: nn.Cell) -> dict[str, nn.Cell]:
    layers = quantizable_layers(network)
    if len(layers) < 2:
        raise ConfigError(f"expected a network of at least two convolutions and linear layers, found {len(layers)}")
    return layers


def _end(frozen: bool) -> EightBitWeight | None:
    """The quantizer of the first or the last layer's weights."""
    return None if frozen else EightBitWeight()


def multi_bit_layers(network: nn.Cell) -> dict[str, QuantConv2d | QuantDense]:
    """Those whose bits are allocated: all but the first and the last."""
    layers = quant_layers(network).items()
    return {name: layer for name, layer in layers if layer.quantize_input and layer.quantize_input.allocated}


def last_layer(network: nn.Cell) -> str:
    """The name of the one whose input has 8 bits."""
    layers = quant_layers(network).items()
    return next(name for name, layer in layers if layer.quantize_input and not layer.quantize_input.allocated)


def calibrated_clips(
    network: nn.Cell, config: QuantConfig, source: ImageSource, preprocessing: Preprocessing, count: int, seed: int
) -> dict[str, float]:
    """Clips with the least squared error of the multi-bit layers' inputs, by layer.

    Args:
        network: float.
        config: settled; its bits are the activations'.
        source: training images; labels are not used.
        preprocessing: of the network.
        count: how many images, at most all.
        seed: of their choice and augmentation.
    """
    layers = {name: layer for name, layer in _layers(network).items() if name not in config.ends}
    inputs = sample_inputs(network, layers, calibration_batches(source, preprocessing, count, seed))
    return {name: best_clip(values, config.bits, name in config.signed) for name, values in inputs.items()}


def set_clips(network: nn.Cell, clips: Mapping[str, float]) -> None:
    """Give inputs of a quantized network their clips, by layer."""
    for name, clip in clips.items():
        quant_layers(network)[name].quantize_input.clip.set_data(Tensor(np.array([clip], np.float32)))


def set_layer_bits(network: nn.Cell, file: Path) -> None:
    """Give the channels of each multi-bit layer the bits of a file, see :mod:`common.quant.bits_file`.

    Raises:
        ConfigError: the file does not fit the network.
    """
    layers = multi_bit_layers(network)
    for name, pair in read_bits(file, list(layers), 0, MAX_BITS).items():
        layer = layers[name]
        for quantizer, bits in zip((layer.quantize_weight, layer.quantize_input), pair):
            quantizer.bits.set_data(Tensor(np.full(quantizer.bits.shape, bits, np.int32)))
        layer.quantize_weight.reset_scale(layer.weight.asnumpy())


def calibrate_last(network: nn.Cell, source: ImageSource, preprocessing: Preprocessing, count: int, seed: int) -> None:
    """Set the clip of the last layer's 8-bit activations to the largest one of ``count`` augmented images.

    Args:
        network: quantized.
        source: training images; labels are not used.
        preprocessing: of the network.
        count: how many images, at most all.
        seed: of their choice and augmentation.
    """
    name = last_layer(network)
    batches = calibration_batches(source, preprocessing, count, seed)
    layer, signed = quant_layers(network)[name], quant_layers(network)[name].quantize_input.signed

    def most(x: np.ndarray) -> np.ndarray:
        return (np.abs(x) if signed else x).max(keepdims=True).ravel()

    largest = sample_inputs(network, {name: layer}, batches, thin=most)[name]
    set_clips(network, {name: float(largest.max(initial=0.0)) or 1.0})


def _layer(layer: nn.Cell, weight: nn.Cell | None, inputs: UniformActivation | None) -> QuantConv2d | QuantDense:
    return (QuantDense if isinstance(layer, nn.Dense) else QuantConv2d)(layer, weight, inputs)
