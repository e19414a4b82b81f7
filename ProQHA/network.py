"""The networks by the names of ``--arch`` and ``--num_layers``."""

import re

from common.errors import ConfigError

# Pre-activation ResNets for small images, as the method's earlier code has them; ImageNet's are post-activation.
SMALL_IMAGES = {
    "resnet20": "preact_resnet20",
    "resnet32": "preact_resnet32",
    "resnet56": "preact_resnet56",
    "resnet110": "preact_resnet110",
    "postresnet20": "resnet20",  # post-activation, as the other methods have it
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "mobilenetv2": "mobilenet_v2_cifar",
    "densenet40": "densenet40",
    "densenet100": "densenet100",
}
IMAGENET = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "mobilenetv2": "mobilenet_v2",
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
