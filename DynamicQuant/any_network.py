"""The two conversions as one: ResNets of the zoo by their stages, any other network by its recorded steps."""

from collections.abc import Callable, Iterable

import numpy as np
from mindspore import nn

from common.quant.calibration import best_clip, sample_inputs
from common.quant.quantizable import quantizable_layers
from DynamicQuant import convert, recorded_network
from DynamicQuant.quant_config import QuantConfig


def settled(network: nn.Cell, config: QuantConfig, is_resnet: bool) -> QuantConfig:
    """The configuration with the stage, the signed layers and the ends named, where the network needs them.

    Args:
        network: float.
        config: what is named already stays.
        is_resnet: whether the network has the zoo's ResNets' stages, which need no names.
    """
    return config if is_resnet and config.stage is None else recorded_network.settled(network, config)


def quantized_names(network: nn.Cell, config: QuantConfig) -> list[str]:
    """Names of the layers of a float network that are quantized by a settled configuration."""
    if config.stage is None:
        return convert.inner_layers(network)
    return [name for name in quantizable_layers(network) if name not in config.ends]


def calibrate(network: nn.Cell, config: QuantConfig, images: Iterable[np.ndarray]) -> dict[str, float]:
    """Clips with the least squared error of the quantized layers' inputs; ``images``: batches (N, 3, H, W)."""
    if config.stage is None:
        return convert.calibrate(network, images, config.bits)
    layers = quantizable_layers(network)
    inputs = sample_inputs(network, {name: layers[name] for name in quantized_names(network, config)}, images)
    return {name: best_clip(values, config.bits, name in config.signed) for name, values in inputs.items()}


def conversion(config: QuantConfig) -> Callable[..., nn.Cell]:
    """What quantizes a network by a settled configuration: ``DynamicQuant.convert.quantize_network`` or its like."""
    return convert.quantize_network if config.stage is None else recorded_network.quantize_recorded
