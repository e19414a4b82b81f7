"""MobileNetV2, for ImageNet and for small images."""

from common.engine.builder import Value
from common.engine.networks.layers import Layers

_FIRST, _LAST = 0, 18  # of its 19 features; blocks are between
# Blocks whose depthwise convolution has stride 2; that of the second stage only for ImageNet.
_HALVING, _SECOND_STAGE = (4, 7, 14), 2


def mobilenet_cifar(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.mobilenet_v2.MobileNetV2` for small images, its logits."""
    return _mobilenet(layers, size, 1, _HALVING, 8)


def mobilenet_imagenet(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.mobilenet_v2.MobileNetV2`, its logits."""
    return _mobilenet(layers, size, 2, (_SECOND_STAGE, *_HALVING), 32)


def _mobilenet(layers: Layers, size: tuple[int, int], stride: int, halving: tuple[int, ...], smaller: int) -> Value:
    x = _activated(layers, f"features.{_FIRST}", layers.conv(f"features.{_FIRST}.0", layers.builder.image, stride, 1))
    channels = layers.filters(f"features.{_FIRST}.0")
    for block in range(_FIRST + 1, _LAST):
        step = 2 if block in halving else 1
        x, channels = _inverted_residual(layers, f"features.{block}.conv", x, step, channels)
    x = _activated(layers, f"features.{_LAST}", layers.conv(f"features.{_LAST}.0", x))
    return layers.dense("classifier.1", layers.average(x, (-(-size[0] // smaller), -(-size[1] // smaller))))


def _activated(layers: Layers, name: str, y: Value) -> Value:
    return layers.relu6(layers.norm(f"{name}.1", y))


def _inverted_residual(layers: Layers, name: str, x: Value, stride: int, channels: int) -> tuple[Value, int]:
    """Expand (unless there is nothing to), filter single channels, project; the input is added where it fits."""
    expands = f"{name}.3.gamma" in layers.parameters
    project = f"{name}.{2 if expands else 1}"
    filters = layers.filters(project)
    residual = stride == 1 and filters == channels
    if residual:
        layers.builder.name(x)  # stays, beside its codes
    y = _activated(layers, f"{name}.0", layers.conv(f"{name}.0.0", x)) if expands else x
    depthwise = f"{name}.{1 if expands else 0}"
    y = _activated(layers, depthwise, layers.depthwise(f"{depthwise}.0", y, stride, 1))
    y = layers.norm(f"{name}.{3 if expands else 2}", layers.conv(project, y))
    return (layers.builder.add(y, x) if residual else y), filters
