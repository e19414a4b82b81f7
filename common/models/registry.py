"""The networks of the zoo by name, and the preprocessing that each data set's float networks are trained with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from mindspore import nn

from common.data import CIFAR10, CIFAR10_IMAGENET_STATS, CIFAR100, DIGITS, IMAGENET, Preprocessing
from common.errors import ConfigError
from common.models.adder import adder_published_name, adder_resnet
from common.models.densenet import DenseNetCifar
from common.models.mobilenet_v2 import MobileNetV2
from common.models.resnet_cifar import ResNetCifar, published_name
from common.models.resnet_imagenet import ResNetImageNet
from common.models.resnet_preact import PreActResNetCifar
from common.models.vgg import VGG
from common.models.vgg_small import VGGSmall

# cifar10: the preprocessing that the published ResNets for CIFAR-10 were trained with.
PREPROCESSING: dict[str, Preprocessing] = {
    "digits": DIGITS,
    "cifar10": CIFAR10_IMAGENET_STATS,
    "cifar100": CIFAR100,
    "imagenet": IMAGENET,
}


@dataclass(frozen=True)
class Model:
    """A network of the zoo.

    Attributes:
        build: function from the number of classes to a float network.
        published_name: function from a tensor's name in published state files to ours; None if the network lacks it.
        datasets: data sets whose images it takes.
        preprocessing: preprocessing that its float networks are trained with, by data set.
    """

    build: Callable[[int], nn.Cell]
    published_name: Callable[[str], str | None]
    datasets: tuple[str, ...]
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=lambda: PREPROCESSING)

    def from_published(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors of a published state file by our names, without those that the network does not have."""
        named = ((self.published_name(name), value) for name, value in tensors.items())
        return {name: value for name, value in named if name is not None}


def _small(build: Callable[[int], nn.Cell], name: Callable[[str], str | None] = str) -> Model:
    return Model(build, name, ("digits", "cifar10", "cifar100"))


def _adder(depth: int) -> Model:
    built = _small(_of_depth(adder_resnet, depth), adder_published_name)
    return replace(built, preprocessing=PREPROCESSING | {"cifar10": CIFAR10})  # what AdderNet's authors train with


def _imagenet(build: Callable[[int], nn.Cell]) -> Model:
    return Model(build, str, ("imagenet",))


def _of_depth(network: Callable[..., nn.Cell], depth: int, **options) -> Callable[[int], nn.Cell]:
    return lambda classes: network(depth, classes, **options)


_DEPTHS = (20, 32, 56, 110)
MODELS = {f"resnet{depth}": _small(_of_depth(ResNetCifar, depth), published_name) for depth in _DEPTHS}
MODELS |= {
    f"resnet{depth}_conv": _small(_of_depth(ResNetCifar, depth, shortcut="conv"), published_name)
    for depth in (20, 32, 56)
}
MODELS |= {f"preact_resnet{depth}": _small(_of_depth(PreActResNetCifar, depth)) for depth in _DEPTHS}
MODELS |= {f"adder_resnet{depth}": _adder(depth) for depth in (20, 32)}
MODELS |= {
    "vgg_small": _small(VGGSmall),
    "vgg16": _small(_of_depth(VGG, 16)),
    "vgg19": _small(_of_depth(VGG, 19)),
    "mobilenet_v2_cifar": _small(partial(MobileNetV2, small_images=True)),
    "densenet40": _small(_of_depth(DenseNetCifar, 40)),
    "densenet100": _small(_of_depth(DenseNetCifar, 100, bottleneck=True)),  # the BC form
}
MODELS |= {f"resnet{depth}": _imagenet(_of_depth(ResNetImageNet, depth)) for depth in (18, 34, 50)}
MODELS |= {"mobilenet_v2": _imagenet(MobileNetV2)}

# What the files of version 0.1 record, and LDNQ's original release calls its networks.
_OTHER_NAMES = {f"ResNet{depth}": f"resnet{depth}" for depth in _DEPTHS}
_OTHER_NAMES |= {f"PreActResNet{depth}": f"preact_resnet{depth}" for depth in _DEPTHS}
_OTHER_NAMES |= {f"ResNet{depth}-ImageNet": f"resnet{depth}" for depth in (18, 34, 50)}
_OTHER_NAMES |= {
    "VGG-small": "vgg_small",
    "VGG-16": "vgg16",
    "VGG-19": "vgg19",
    "MobileNetV2": "mobilenet_v2_cifar",
    "MobileNetV2-ImageNet": "mobilenet_v2",
    "DenseNet40": "densenet40",
    "DenseNet100": "densenet100",
}


def model(name: str, dataset: str | None = None) -> Model:
    """The model of a name; with ``dataset``, only if it takes that data set's images.

    Raises:
        ConfigError: an unknown name, or another kind of images.
    """
    if name not in MODELS:
        raise ConfigError(f"arch: expected one of {', '.join(MODELS)}, found {name!r}")
    entry = MODELS[name]
    if dataset is not None and dataset not in entry.datasets:
        raise ConfigError(f"{name} takes {' or '.join(entry.datasets)}, found dataset {dataset}; change one of them")
    return entry


def architecture(name: str) -> str:
    """The name in :data:`MODELS` of a network that is called ``ResNet20`` or ``ResNet18-ImageNet`` elsewhere.

    A name that is not known elsewhere stays as it is.
    """
    return _OTHER_NAMES.get(name, name)


def recorded_architecture(metadata: Mapping[str, Any]) -> str:
    """The name in :data:`MODELS` of the network that a checkpoint's metadata record, in whichever version's words."""
    name = architecture(str(metadata.get("network")))
    adder = f"adder_{name}"  # version 0.1 called AdderQuant's networks resnet20 and resnet32
    return adder if metadata.get("method") == "AdderQuant" and adder in MODELS else name


def preprocessing_of(dataset: str, metadata: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a checkpoint's metadata record, else that of their network on the data set."""
    if recorded := metadata.get("preprocessing"):
        return Preprocessing.from_dict(recorded)
    known = MODELS.get(recorded_architecture(metadata))
    return (known.preprocessing if known else PREPROCESSING)[dataset]
