"""Networks of convolutions one after the other: VGG and VGG-small.

Their cells are numbered as the modules in :mod:`common.models.vgg` and :mod:`common.models.vgg_small` are built:
convolutions and norms by their parameters, an activation behind each norm, and what has no other place is pooling.
"""

from common.engine.builder import Value
from common.engine.networks.layers import Layers

_POOLING = 2  # side and stride
_LAST_SIDE = 4  # pixels that the linear layer of VGG-small reads, in both directions


def vgg(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.vgg.VGG`, its logits."""
    x = _pool(layers, _features(layers))  # the last cell, behind the last activation
    return layers.dense("fc", layers.average(x, (size[0] // 32, size[1] // 32)))


def vgg_small(layers: Layers, _size: tuple[int, int]) -> Value:
    """:class:`common.models.vgg_small.VGGSmall`, its logits."""
    return layers.dense("fc", _features(layers), (_LAST_SIDE, _LAST_SIDE))


def _features(layers: Layers) -> Value:
    """All cells up to the last activation."""
    numbers = {int(name.split(".")[1]) for name in layers.parameters if name.startswith("features.")}
    x = layers.builder.image
    for i in range(max(numbers) + 1):
        name = f"features.{i}"
        if f"{name}.weight" in layers.parameters:
            x = layers.conv(name, x, 1, 1)
        elif f"{name}.gamma" in layers.parameters:
            x = layers.relu(layers.norm(name, x))
        elif f"features.{i - 1}.gamma" not in layers.parameters:
            x = _pool(layers, x)
    return x


def _pool(layers: Layers, x: Value) -> Value:
    return layers.builder.pool(x, (_POOLING, _POOLING), _POOLING, maximum=True)
