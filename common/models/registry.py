"""The networks of the zoo by name, and the preprocessing that each data set's float networks are trained with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mindspore import nn

from common.data import CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.errors import ConfigError
from common.models.densenet import DenseNetCifar
from common.models.mobilenet_v2 import MobileNetV2
from common.models.resnet_cifar import ResNetCifar, published_name
from common.models.resnet_imagenet import ResNetImageNet
from common.models.resnet_preact import PreActResNetCifar
from common.models.vgg import VGG
from common.models.vgg_small import VGGSmall


@dataclass(frozen=True)
class Model:
    """A network of the zoo.

    Attributes:
        build: number of classes to float network.
        published_name: our name of a parameter of published PyTorch state files.
        datasets: data sets whose images it takes.
    """

    build: Callable[[int], nn.Cell]
    published_name: Callable[[str], str]
    datasets: tuple[str, ...]


def _small(build: Callable[[int], nn.Cell], name: Callable[[str], str] = str) -> Model:
    return Model(build, name, ("digits", "cifar10"))


def _imagenet(build: Callable[[int], nn.Cell]) -> Model:
    return Model(build, str, ("imagenet",))


def _of_depth(network: Callable[..., nn.Cell], depth: int, **options) -> Callable[[int], nn.Cell]:
    return lambda classes: network(depth, classes, **options)


_DEPTHS = (20, 32, 56, 110)
MODELS = {f"ResNet{depth}": _small(_of_depth(ResNetCifar, depth), published_name) for depth in _DEPTHS}
MODELS |= {f"PreActResNet{depth}": _small(_of_depth(PreActResNetCifar, depth)) for depth in _DEPTHS}
MODELS |= {
    "VGG-small": _small(VGGSmall),
    "VGG-16": _small(_of_depth(VGG, 16)),
    "VGG-19": _small(_of_depth(VGG, 19)),
    "MobileNetV2": _small(partial(MobileNetV2, small_images=True)),
    "DenseNet40": _small(_of_depth(DenseNetCifar, 40)),
    "DenseNet100": _small(_of_depth(DenseNetCifar, 100, bottleneck=True)),  # the BC form
}
MODELS |= {f"ResNet{depth}-ImageNet": _imagenet(_of_depth(ResNetImageNet, depth)) for depth in (18, 34, 50)}
MODELS |= {"MobileNetV2-ImageNet": _imagenet(MobileNetV2)}

# cifar10: what the published ResNets for CIFAR-10 were trained with.
PREPROCESSING: dict[str, Preprocessing] = {
    "digits": DIGITS,
    "cifar10": CIFAR10_IMAGENET_STATS,
    "imagenet": IMAGENET,
}


def model(name: str, dataset: str | None = None) -> Model:
    """The model of a name; with ``dataset``, only if it takes that data set's images.

    Raises:
        ConfigError: an unknown name, or another kind of images.
    """
    if name not in MODELS:
        raise ConfigError(f"model_name: expected one of {', '.join(MODELS)}, found {name!r}")
    found = MODELS[name]
    if dataset is not None and dataset not in found.datasets:
        raise ConfigError(f"{name} takes {' or '.join(found.datasets)}, found dataset {dataset}; change one of them")
    return found


def preprocessing_of(dataset: str, metadata: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a checkpoint's metadata records, else that of the data set."""
    recorded = metadata.get("preprocessing")
    return Preprocessing.from_dict(recorded) if recorded else PREPROCESSING[dataset]
