"""The layers a network description is built of, and the full-precision choice of each."""

from collections.abc import Callable
from dataclasses import dataclass

from mindspore import nn
from mindspore.common.initializer import HeNormal


def conv2d(channels: int, filters: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution without bias, He-initialised by fan-out."""
    init = HeNormal(mode="fan_out", nonlinearity="relu")
    return nn.Conv2d(
        channels, filters, kernel, stride, pad_mode="pad", padding=padding, has_bias=False, weight_init=init
    )


@dataclass(frozen=True)
class Layers:
    """Factories that a network description calls; every method swaps in its own.

    Attributes:
        conv: ``(channels, filters, kernel, stride, padding) -> Cell`` for all convolutions but the first.
        stem: the same for the first convolution, which most methods treat apart.
        norm: ``(channels) -> Cell``.
        act: ``() -> Cell``.
    """

    conv: Callable[..., nn.Cell] = conv2d
    stem: Callable[..., nn.Cell] = conv2d
    norm: Callable[[int], nn.Cell] = nn.BatchNorm2d
    act: Callable[[], nn.Cell] = nn.ReLU
