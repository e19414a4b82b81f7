"""The networks LDNQ works on, and the layers of a network that it quantizes."""

from collections.abc import Callable
from dataclasses import dataclass

from mindspore import nn

from common.data import CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.errors import ConfigError
from common.models.resnet_cifar import ResNetCifar, published_name
from common.models.resnet_imagenet import ResNetImageNet
from LDNQ.hessian import Geometry


@dataclass(frozen=True)
class Model:
    """A network by the name of ``--model_name``.

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


def weighted_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """All convolutions and linear layers by name, in the order of the network's description."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d | nn.Dense)}


def quantized_layers(network: nn.Cell, first_and_last: bool = True) -> dict[str, nn.Cell]:
    """The layers to quantize, in the order of the cascade; without the first and the last if so wished."""
    names = list(layers := weighted_layers(network))
    return layers if first_and_last else {name: layers[name] for name in names[1:-1]}


def geometry(layer: nn.Cell) -> Geometry:
    """How a ``nn.Conv2d`` (``pad`` or ``valid`` mode) or ``nn.Dense`` reads its input.

    Raises:
        ConfigError: a convolution of another mode, or a dilated one.
    """
    if isinstance(layer, nn.Dense):
        return Geometry(bias=layer.has_bias)
    if layer.pad_mode not in ("pad", "valid") or _pair(layer.dilation) != (1, 1):
        raise ConfigError(f"convolutions: expected pad_mode pad or valid, no dilation, found {layer}")
    padding = layer.padding if layer.pad_mode == "pad" else 0
    padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
    return Geometry(_pair(layer.kernel_size), _pair(layer.stride), padding, layer.group, layer.has_bias)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value[-2:])
