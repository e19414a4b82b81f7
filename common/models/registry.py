"""The networks of the zoo by name, and the preprocessing that each data set's float networks are trained with."""

from collections.abc import Callable
from dataclasses import dataclass

from mindspore import nn

from common.data import CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.errors import ConfigError
from common.models.resnet_cifar import ResNetCifar, published_name
from common.models.resnet_imagenet import ResNetImageNet
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


def _cifar(depth: int) -> Model:
    return Model(lambda classes: ResNetCifar(depth, classes), published_name, ("digits", "cifar10"))


def _imagenet(depth: int) -> Model:
    return Model(lambda classes: ResNetImageNet(depth, classes), str, ("imagenet",))


MODELS = {f"ResNet{depth}": _cifar(depth) for depth in (20, 32, 56)}
MODELS |= {"VGG-small": Model(VGGSmall, str, ("digits", "cifar10"))}
MODELS |= {f"ResNet{depth}-ImageNet": _imagenet(depth) for depth in (18, 34, 50)}

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


def preprocessing_of(dataset: str, metadata: dict) -> Preprocessing:
    """The preprocessing that a checkpoint's metadata records, else that of the data set."""
    recorded = metadata.get("preprocessing")
    return Preprocessing.from_dict(recorded) if recorded else PREPROCESSING[dataset]
