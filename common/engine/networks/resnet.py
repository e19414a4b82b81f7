"""Residual networks: of CIFAR with either shortcut, pre-activation ones, and those of ImageNet."""

from common.engine.builder import Value
from common.engine.networks.layers import Layers

CIFAR_STAGES = ("layer1", "layer2", "layer3")
IMAGENET_STAGES = (*CIFAR_STAGES, "layer4")
CIFAR_CHANNELS = (16, 16, 32, 64)


def resnet_cifar(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.resnet_cifar.ResNetCifar`, its logits."""
    x = layers.relu(layers.norm("bn1", layers.conv("conv1", layers.builder.image, 1, 1)))
    for i, stage in enumerate(CIFAR_STAGES):
        for block in range(layers.count(stage)):
            stride, new = (2, CIFAR_CHANNELS[i + 1] - CIFAR_CHANNELS[i]) if i and not block else (1, 0)
            x = _basic_block(layers, f"{stage}.{block}", x, stride, new)
        if stage == "layer1":
            layers.controller(x, size)
    logits = layers.dense("head.fc", layers.average(x, (-(-size[0] // 4), -(-size[1] // 4))))
    return layers.norm("head.bn2", logits) if "head.bn2.gamma" in layers.parameters else logits  # AdderNet's has one


def _basic_block(layers: Layers, name: str, x: Value, stride: int, new: int) -> Value:
    """Convolution, norm and ReLU; convolution and norm; sum with the shortcut, ReLU."""
    shortcut = _shortcut(layers, f"{name}.downsample", x, stride, new)
    y = layers.relu(layers.norm(f"{name}.bn1", layers.conv(f"{name}.conv1", x, stride, 1)))
    y = layers.norm(f"{name}.bn2", layers.conv(f"{name}.conv2", y, 1, 1))
    return layers.relu(layers.builder.add(y, shortcut))


def _shortcut(layers: Layers, name: str, x: Value, stride: int, new: int) -> Value:
    if {f"{name}.0.weight", f"{name}.0.codes"} & set(layers.parameters):
        return layers.norm(f"{name}.1", layers.conv(f"{name}.0", x, stride))
    if not new:
        return x
    return layers.builder.take(x, stride, new // 2, 2 * new)  # channels double from stage to stage


def resnet_preact(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.resnet_preact.PreActResNetCifar`, its logits."""
    x = layers.conv("conv1", layers.builder.image, 1, 1)
    for stage in CIFAR_STAGES:
        for block in range(layers.count(stage)):
            x = _preact_block(layers, f"{stage}.{block}", x, 2 if stage != "layer1" and not block else 1)
    x = layers.relu(layers.norm("bn", x))
    return layers.dense("head.fc", layers.average(x, (-(-size[0] // 4), -(-size[1] // 4))))


def _preact_block(layers: Layers, name: str, x: Value, stride: int) -> Value:
    layers.builder.name(x)  # stays, beside what follows its norm
    active = layers.relu(layers.norm(f"{name}.bn1", x))
    changes = f"{name}.downsample.weight" in layers.parameters
    shortcut = layers.conv(f"{name}.downsample", active, stride) if changes else x
    y = layers.relu(layers.norm(f"{name}.bn2", layers.conv(f"{name}.conv1", active, stride, 1)))
    return layers.builder.add(layers.conv(f"{name}.conv2", y, 1, 1), shortcut)


def resnet_imagenet(layers: Layers, size: tuple[int, int]) -> Value:
    """:class:`common.models.resnet_imagenet.ResNetImageNet`, its logits."""
    x = layers.relu(layers.norm("bn1", layers.conv("conv1", layers.builder.image, 2, 3)))
    x = layers.builder.pool(x, (3, 3), 2, 1, maximum=True)
    block = _bottleneck if "layer1.0.conv3.weight" in layers.parameters else _basic_block
    for stage in IMAGENET_STAGES:
        for i in range(layers.count(stage)):
            x = block(layers, f"{stage}.{i}", x, 2 if stage != "layer1" and not i else 1, 0)
        if stage == "layer1":
            layers.controller(x, (-(-size[0] // 4), -(-size[1] // 4)))
    return layers.dense("fc", layers.average(x, (-(-size[0] // 32), -(-size[1] // 32))))


def _bottleneck(layers: Layers, name: str, x: Value, stride: int, new: int) -> Value:
    shortcut = _shortcut(layers, f"{name}.downsample", x, stride, new)
    y = layers.relu(layers.norm(f"{name}.bn1", layers.conv(f"{name}.conv1", x)))
    y = layers.relu(layers.norm(f"{name}.bn2", layers.conv(f"{name}.conv2", y, stride, 1)))
    y = layers.norm(f"{name}.bn3", layers.conv(f"{name}.conv3", y))
    return layers.relu(layers.builder.add(y, shortcut))
