"""Which networks the engine knows, by the zoo's names."""

from collections.abc import Callable, Mapping

import numpy as np

from common.engine.builder import Value, refuse
from common.engine.description import Description
from common.engine.networks.densenet import densenet_cifar
from common.engine.networks.layers import Layers
from common.engine.networks.mobilenet import mobilenet_cifar, mobilenet_imagenet
from common.engine.networks.resnet import resnet_cifar, resnet_imagenet, resnet_preact
from common.engine.networks.vgg import vgg, vgg_small
from common.quant.integer_weight import IntegerLayer

_CIFAR_DEPTHS = (20, 32, 56, 110)
NETWORKS: dict[str, Callable[[Layers, tuple[int, int]], Value]] = {
    **{f"resnet{depth}": resnet_cifar for depth in _CIFAR_DEPTHS},
    **{f"resnet{depth}_conv": resnet_cifar for depth in _CIFAR_DEPTHS},
    **{f"preact_resnet{depth}": resnet_preact for depth in _CIFAR_DEPTHS},
    **{f"adder_resnet{depth}": resnet_cifar for depth in _CIFAR_DEPTHS},
    **{f"resnet{depth}": resnet_imagenet for depth in (18, 34, 50)},
    "densenet40": densenet_cifar,
    "densenet100": densenet_cifar,
    "mobilenet_v2_cifar": mobilenet_cifar,
    "mobilenet_v2": mobilenet_imagenet,
    **{f"vgg{depth}": vgg for depth in (16, 19)},
    "vgg_small": vgg_small,
}


def has_grids(architecture: str, quantized: Mapping[str, IntegerLayer]) -> bool:
    """Whether activations are on grids; those of adder layers are on the weights' own."""
    adders = architecture.startswith("adder_") and bool(quantized)
    return adders or any(layer.grids for layer in quantized.values())


def describe(
    architecture: str,
    parameters: Mapping[str, np.ndarray],
    quantized: Mapping[str, IntegerLayer],
    size: tuple[int, int],
    floats: bool = False,
) -> Description:
    """The description of a quantized network.

    Args:
        architecture: name in the zoo.
        parameters: of the network by name, float32.
        quantized: its quantized layers by name.
        size: height and width of its images.
        floats: whether layers without activation grids may be computed in float32, all of them if need be.

    Raises:
        QuantizationError: an architecture or a layer that the engine has no instructions for.
    """
    if architecture not in NETWORKS:
        raise refuse(f"{architecture} is not among its networks")
    if not floats and not has_grids(architecture, quantized):
        raise refuse("expected layers with activation grids, found none")
    layers = Layers(parameters, quantized, size)
    return layers.builder.finish(NETWORKS[architecture](layers, size))
