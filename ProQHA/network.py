"""The networks by the names of ``--arch`` and ``--num_layers``."""

import re

from common.errors import ConfigError

# Pre-activation ResNets for small images, as the method's earlier code has them; ImageNet's are post-activation.
SMALL_IMAGES = {
    "resnet20": "PreActResNet20",
    "resnet32": "PreActResNet32",
    "resnet56": "PreActResNet56",
    "resnet110": "PreActResNet110",
    "postresnet20": "ResNet20",  # post-activation, as the other methods have it
    "vgg16": "VGG-16",
    "vgg19": "VGG-19",
    "mobilenetv2": "MobileNetV2",
    "densenet40": "DenseNet40",
    "densenet100": "DenseNet100",
}
IMAGENET = {
    "resnet18": "ResNet18-ImageNet",
    "resnet34": "ResNet34-ImageNet",
    "resnet50": "ResNet50-ImageNet",
    "mobilenetv2": "MobileNetV2-ImageNet",
}


def architectures(dataset: str) -> dict[str, str]:
    """Names of ``--arch`` and those of :mod:`common.models.registry`, for the images of a data set."""
    return IMAGENET if dataset == "imagenet" else SMALL_IMAGES


def model_name(arch: str, num_layers: int | None, dataset: str) -> str:
    """The registry's name of a network.

    Args:
        arch: ``resnet20``, or ``resnet`` with ``num_layers``; where only one depth exists, it needs no number.
        num_layers: None to take what ``arch`` says.
        dataset: ``digits``, ``cifar10`` or ``imagenet``.

    Raises:
        ConfigError: no such network, or a number that contradicts the name.
    """
    known = architectures(dataset)
    named = re.fullmatch(r"(mobilenetv2|[a-z]+?)(\d*)", arch.lower().replace("_", "").replace("-", ""))
    family, digits = (named[1], named[2]) if named else (arch, "")
    if digits and num_layers not in (None, int(digits)):
        raise ConfigError(f"arch: {arch} has {digits} layers, found --num_layers {num_layers}; leave one of them out")
    depth = digits or (str(num_layers) if num_layers and family != "mobilenetv2" else "")
    if family + depth in known:
        return known[family + depth]
    depths = [name for name in known if name.startswith(family)] if named else []
    if not depth and len(depths) > 1:
        raise ConfigError(f"num_layers: {arch} needs a number of layers; known for {dataset}: {', '.join(depths)}")
    raise ConfigError(f"arch: expected one of {', '.join(known)} for {dataset}, found {family}{depth}")
