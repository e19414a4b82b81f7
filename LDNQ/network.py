"""The layers of a network that LDNQ quantizes, and how they read their inputs."""

from mindspore import nn

from common.errors import ConfigError
from common.models.layers import weighted_layers
from common.models.registry import MODELS
from LDNQ.hessian import Geometry

MODEL_NAMES = tuple(name for name in MODELS if name.startswith("ResNet"))


def quantized_layers(network: nn.Cell, first_and_last: bool = True) -> dict[str, nn.Cell]:
    """The layers to quantize, in the order of the cascade; without the first and the last if so wished."""
    names = list(layers := weighted_layers(network))
    return layers if first_and_last else {name: layers[name] for name in names[1:-1]}


def geometry(layer: nn.Cell) -> Geometry:
    """How a ``nn.Conv2d`` (``pad`` or ``valid`` mode) or ``nn.Dense`` reads its input.

    Raises:
        ConfigError: a convolution of another mode, or a dilated one.
    """
    if isinstance(layer, nn.Dense):
        return Geometry(bias=layer.has_bias)
    if layer.pad_mode not in ("pad", "valid") or _pair(layer.dilation) != (1, 1):
        raise ConfigError(f"convolutions: expected pad_mode pad or valid, no dilation, found {layer}")
    padding = layer.padding if layer.pad_mode == "pad" else 0
    padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
    return Geometry(_pair(layer.kernel_size), _pair(layer.stride), padding, layer.group, layer.has_bias)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value[-2:])
