"""The networks by the names of ``--arch`` and ``--num_layers``."""

import re

from common.checkpoint import Checkpoint
from common.errors import CheckpointError, ConfigError
from common.stored.signature import fits, fitting

# What the original release calls resnet20 has pre-activation blocks; on ImageNet its networks are post-activation.
_DEPTHS = (20, 32, 56, 110)
_DOCUMENTED = {f"resnet{depth}": f"preact_resnet{depth}" for depth in _DEPTHS}
SMALL_IMAGES = {name: name for name in _DOCUMENTED.values()} | _DOCUMENTED
SMALL_IMAGES |= {
    "postresnet20": "resnet20",  # post-activation, what the other methods call resnet20
    "postresnet20_conv": "resnet20_conv",  # the same with 1 x 1 convolutions in its shortcuts
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
DEFAULT = "postresnet20"


def architectures(dataset: str) -> dict[str, str]:
    """Names of ``--arch`` and those of :mod:`common.models.registry`, for the images of a data set."""
    return IMAGENET if dataset == "imagenet" else SMALL_IMAGES


def architecture(arch: str, num_layers: int | None, dataset: str) -> str:
    """The registry's name of a network.

    Args:
        arch: name such as ``resnet20``, or ``resnet`` with ``num_layers``; no number where one depth exists.
        num_layers: number of layers; None: the one in ``arch``.
        dataset: name of the data set, ``digits``, ``cifar10`` or ``imagenet``.

    Raises:
        ConfigError: no such network, or a number that contradicts the name.
    """
    known = {_plain(name): network for name, network in architectures(dataset).items()}
    if num_layers is None and _plain(arch) in known:
        return known[_plain(arch)]
    named = re.fullmatch(r"(mobilenetv2|[a-z]+?)(\d*)", _plain(arch))
    family, digits = (named[1], named[2]) if named else (arch, "")
    if digits and num_layers not in (None, int(digits)):
        raise ConfigError(f"arch: {arch} has {digits} layers, found --num_layers {num_layers}; leave one of them out")
    depth = digits or (str(num_layers) if num_layers and family != "mobilenetv2" else "")
    if family + depth in known:
        return known[family + depth]
    depths = [name for name in architectures(dataset) if _plain(name).startswith(family)] if named else []
    if not depth and len(depths) > 1:
        raise ConfigError(f"num_layers: {arch} needs a number of layers; known for {dataset}: {', '.join(depths)}")
    names = ", ".join(architectures(dataset))
    raise ConfigError(f"arch: expected one of {names} for {dataset}, found {family}{depth}")


def choose(arch: str, num_layers: int | None, dataset: str, settled: bool) -> tuple[str, str]:
    """The registry's name of a network, and the data set that it is for.

    A network that only ImageNet has makes that the data set, where digits stand for "none was named".

    Args:
        arch: name of the network, see :func:`architecture`.
        num_layers: number of layers, or None.
        dataset: name of the data set, as the options say.
        settled: whether a folder of images is given.

    Raises:
        ConfigError: no such network for these images.
    """
    try:
        return architecture(arch, num_layers, dataset), dataset
    except ConfigError:
        if dataset == "digits" and not settled and _is_known(arch, num_layers, "imagenet"):
            return architecture(arch, num_layers, "imagenet"), "imagenet"
        raise


def _is_known(arch: str, num_layers: int | None, dataset: str) -> bool:
    try:
        return bool(architecture(arch, num_layers, dataset))
    except ConfigError:
        return False


def arch_of(name: str, dataset: str) -> str | None:
    """The name of ``--arch`` that stands for a network of the registry; None if no name does."""
    return next((arch for arch, network in architectures(dataset).items() if network == name), None)


def check_published(content: Checkpoint, name: str) -> None:
    """Answer published weights of another network by the name of ``--arch`` that fits, which is not the registry's.

    Raises:
        CheckpointError: the file is without metadata and holds another network of this method.
    """
    if content.metadata or fits(content.tensors, name):
        return
    known = IMAGENET if name in IMAGENET.values() else SMALL_IMAGES
    found = [(other, arch) for arch, other in known.items() if other in fitting(content.tensors)]
    if found:
        other, arch = found[0]
        raise CheckpointError(
            f"{content.path}: expected the weights of {name}, found those of {other}; give --arch {arch}"
        )


def note(arch: str, name: str) -> str | None:
    """A line for users where ``--arch`` means another network than in the other methods; None where it does not."""
    if not (_plain(arch).startswith("resnet") and name in _DOCUMENTED.values()):
        return None
    return f"--arch {arch} is {name} in ProQHA, as in the original release; post-activation is postresnet20"


def _plain(arch: str) -> str:
    return arch.lower().replace("_", "").replace("-", "")
