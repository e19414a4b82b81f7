"""The layers a network description is built of, and the full-precision choice of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mindspore import nn
from mindspore.common.initializer import HeNormal, Normal

from common import distributed
from common.distributed.collective import SyncBatchNorm2d
from common.errors import ConfigError
from common.kernels.batch_norm import NativeBatchNorm2d
from common.kernels.batch_norm_plain import OwnBatchNorm
from common.kernels.conv import NativeForkedConv, float_conv2d
from common.kernels.conv_norm import ConvNorm, ConvNormAddRelu
from common.kernels.custom import use_native


def check_depth(depth: int, known: Sequence[int]) -> None:
    """Refuse a depth that a family of networks does not have.

    Raises:
        ConfigError: a depth that is not among the known ones.
    """
    if depth not in known:
        raise ConfigError(f"depth: expected one of {', '.join(map(str, known))}, found {depth}")


class NativeConv2d(nn.Conv2d):
    """``nn.Conv2d`` with its parameters, computed by the kernel of :func:`common.kernels.conv.float_conv2d`.

    (N, C, H, W) to (N, F, OH, OW), zeros as padding.

    Args:
        channels: number of input channels C.
        filters: number of filters F.
        kernel: side of the square kernel.
        stride: step of the kernel in both directions.
        padding: zeros on each side.
        groups: of channels, as ``group`` of ``nn.Conv2d``.
        options: ``has_bias`` and initialisers as ``nn.Conv2d`` takes them.

    Attributes:
        apart: whether it never takes along what follows: for networks in training whose norms are in evaluation.
    """

    def __init__(self, channels, filters, kernel, stride=1, padding=0, groups=1, **options):
        super().__init__(channels, filters, kernel, stride, pad_mode="pad", padding=padding, group=groups, **options)
        self.kernel_conv = float_conv2d(stride, padding, groups, native=True)
        self.together, self.apart = not self.has_bias and groups in (1, channels), False
        if self.together:
            self.norm_kernel = ConvNorm(self.kernel_conv, relu=False)
            self.norm_relu_kernel = ConvNorm(self.kernel_conv, relu=True)
            self.norm_add_relu_kernel = ConvNormAddRelu(self.kernel_conv)
        self.forked = NativeForkedConv(self.kernel_conv) if groups == 1 and not self.has_bias else None

    @property
    def joins(self) -> bool:
        """Whether what follows may be computed together with it: nobody wants to see it alone."""
        return self.together and not self.apart and not self._forward_pre_hook and not self._forward_hook

    def construct(self, x):
        y = self.kernel_conv(x, self.weight)
        return y + self.bias.reshape(1, -1, 1, 1) if self.has_bias else y

    @property
    def forks(self) -> bool:
        """Whether :meth:`fork` may be called: in training, where nobody wants to see the layer alone."""
        return self.forked is not None and self.training and self.joins

    def fork(self, x):
        """The convolution of x, and x for what else reads it."""
        return self.forked(x, self.weight)

    def norm(self, norm: NativeBatchNorm2d, x):
        """BatchNorm in evaluation of the convolution of x."""
        return self.norm_kernel(x, self.weight, *norm.statistics(), norm.constants)

    def norm_relu(self, norm: NativeBatchNorm2d, x):
        """ReLU of :meth:`norm`."""
        return self.norm_relu_kernel(x, self.weight, *norm.statistics(), norm.constants)

    def norm_relu6(self, norm: NativeBatchNorm2d, x):
        """ReLU that ends at 6 of :meth:`norm`."""
        return self.norm_relu_kernel(x, self.weight, *norm.statistics(), norm.constants6)

    def norm_add_relu(self, norm: NativeBatchNorm2d, x, shortcut):
        """ReLU of the sum of :meth:`norm` and a shortcut."""
        return self.norm_add_relu_kernel(x, self.weight, shortcut, *norm.statistics(), norm.constants)


def conv2d(
    channels: int,
    filters: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    has_bias: bool = False,
    groups: int = 1,
):
    """A convolution, He-initialised by fan-out: our own kernel on CPU where it can be had, else MindSpore's."""
    init = HeNormal(mode="fan_out", nonlinearity="relu")
    if groups > 1:
        init = Normal((2 * groups / (filters * kernel**2)) ** 0.5)  # HeNormal does not know of groups
    options = {"has_bias": has_bias, "weight_init": init}
    if use_native(None):
        return NativeConv2d(channels, filters, kernel, stride, padding, groups, **options)
    return nn.Conv2d(channels, filters, kernel, stride, pad_mode="pad", padding=padding, group=groups, **options)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm over the batches of all processes; of one, our own kernel on CPU where it can be had."""
    if distributed.size() > 1:
        return SyncBatchNorm2d(channels, OwnBatchNorm if use_native(None) else None)
    return NativeBatchNorm2d(channels) if use_native(None) else nn.BatchNorm2d(channels)


@dataclass(frozen=True)
class Layers:
    """Factories that a network description calls; every method swaps in its own.

    Attributes:
        conv: ``(channels, filters, kernel, stride, padding) -> Cell`` for all convolutions but the first. Networks of
            grouped convolutions, MobileNetV2, pass ``groups=`` too, where it is more than 1.
        stem: factory of the first convolution, which most methods treat apart; arguments as of ``conv``.
        norm: ``(channels) -> Cell``.
        act: ``() -> Cell``, a ReLU.
        act6: ``() -> Cell``, a ReLU that ends at 6, for MobileNetV2.
    """

    conv: Callable[..., nn.Cell] = conv2d
    stem: Callable[..., nn.Cell] = conv2d
    norm: Callable[[int], nn.Cell] = batch_norm
    act: Callable[[], nn.Cell] = nn.ReLU
    act6: Callable[[], nn.Cell] = nn.ReLU6


def weighted_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """All float convolutions and linear layers by name, in the order of the network's description."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d | nn.Dense)}
