"""Turning a float network into one whose layers have DoReFa weights and PACT inputs, and its first clips.

Quantized are all convolutions and linear layers but the first, the last and the shortcuts, which stay float, as in the
original release.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from mindspore import nn

from common.errors import ConfigError
from common.quant.bias_correction import without_quantizers
from common.quant.calibration import best_clip, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.dorefa import DoReFaWeight
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.quant.pact import PACTActivation
from common.quant.quantizable import ends_of, quantizable_layers, traced_inputs
from ProQHA.quant import assign_clip
from ProQHA.quant_config import QuantConfig

_SHORTCUT = "downsample"


def quantized_names(network: nn.Cell, ends: tuple[str, str] | None = None) -> list[str]:
    """The layers of a float network that are quantized, in the order of its description.

    Args:
        network: float.
        ends: the first and the last layer, which stay float; None: of the description.

    Raises:
        ConfigError: a layer that cannot be quantized, named with the reason.
    """
    names = list(quantizable_layers(network))
    left = set(ends or [*names[:1], *names[-1:]])
    return [name for name in names if name not in left and _SHORTCUT not in name.split(".")]


def quantize_network(
    network: nn.Cell, config: QuantConfig | None = None, image_size: int | None = None, frozen: bool = False
) -> QuantConfig:
    """Replace the layers of a float network, in place, keeping weights and biases.

        quantize_network(network := MyNetwork())

    Args:
        network: built of ``nn.Conv2d`` and ``nn.Dense``, in the order in which they are described.
        config: the default one if None.
        image_size: side in pixels of the images that show which inputs are signed; None: the first usual one that the
            network takes.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.

    Returns:
        The configuration with the signed layers named.

    Raises:
        ConfigError: nothing to quantize, a signed layer that is none, or a layer of an unsupported kind.
    """
    config = config or QuantConfig()
    layers = quantizable_layers(network)
    if config.signed is None and len(layers) > 2:
        ranges = traced_inputs(network, layers, image_size)
        ends = config.ends or (ends_of(ranges) if len(layers) > 1 else None)
        signed = tuple(name for name in quantized_names(network, ends) if ranges[name].signed)
        config = replace(config, signed=signed, ends=ends)
    names = quantized_names(network, config.ends)
    if not names:
        raise ConfigError(f"expected a layer between the first and the last to quantize, found {len(layers)} in all")
    if unknown := sorted(set(config.signed) - set(names)):
        raise ConfigError(f"signed: expected names of quantized layers, found {unknown[0]}")
    replace_cells(network, {name: _quantized(layers[name], name in config.signed, config, frozen) for name in names})
    return config


def _quantized(layer: nn.Cell, signed: bool, config: QuantConfig, frozen: bool) -> nn.Cell:
    weight = FrozenWeight() if frozen else DoReFaWeight(config.bits)
    if not frozen:
        weight.fit(layer.weight.asnumpy())
    kind = QuantDense if isinstance(layer, nn.Dense) else QuantConv2d
    return kind(layer, weight, PACTActivation(config.bits, config.activation_clip, signed))


def calibrate(network: nn.Cell, images: Iterable[np.ndarray]) -> None:
    """Set every clip to the one with the least squared error at the present bits.

    The inputs are those of the float network: behind layers of few bits whose clips are not set yet nothing would be as
    it will be.

    Args:
        network: quantized.
        images: batches (N, 3, H, W) as in training; labels are not needed.
    """
    layers = quant_layers(network)
    with without_quantizers(network):
        inputs = sample_inputs(network, layers, images)
    for name, values in inputs.items():
        quantizer = layers[name].quantize_input
        assign_clip(quantizer, best_clip(values, int(quantizer.bits.asnumpy()[0]), quantizer.signed))
