"""DenseNets for 32 x 32 images, in both forms."""

from common.engine.builder import Value
from common.engine.networks.layers import Layers

_BLOCKS = ("block1", "block2", "block3")


def densenet_cifar(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.densenet.DenseNetCifar`, its logits."""
    x, channels = layers.conv("conv1", layers.builder.image, 1, 1), layers.filters("conv1")
    for index, block in enumerate(_BLOCKS, 1):
        for layer in range(layers.count(block)):
            x, channels = _dense_layer(layers, f"{block}.{layer}.layer", x, channels)
        if block != _BLOCKS[-1]:
            x = layers.builder.pool(_norm_act_conv(layers, f"transition{index}", 0, x), (2, 2), 2)
            channels = layers.filters(f"transition{index}.2")
    x = layers.relu(layers.norm("bn", x))
    return layers.dense("head.fc", layers.average(x, (size[0] // 4, size[1] // 4)))


def _dense_layer(layers: Layers, name: str, x: Value, channels: int) -> tuple[Value, int]:
    """The input with what one or two convolutions make of it behind its channels."""
    layers.builder.name(x)  # stays, beside what follows its norm
    y = _norm_act_conv(layers, name, 0, x)
    last = f"{name}.2"
    if f"{name}.3.gamma" in layers.parameters:
        y, last = _norm_act_conv(layers, name, 3, y), f"{name}.5"
    growth = layers.filters(last)
    every = channels + growth
    return layers.builder.add(
        layers.builder.take(y, before=channels, filters=every), layers.builder.take(x, filters=every)
    ), every


def _norm_act_conv(layers: Layers, name: str, first: int, x: Value) -> Value:
    """The cells ``first``, ``first + 1`` and ``first + 2`` of a sequence."""
    active = layers.relu(layers.norm(f"{name}.{first}", x))
    return layers.conv(f"{name}.{first + 2}", active, 1, layers.side(f"{name}.{first + 2}") // 2)
