"""The float adder layer and the ResNets for 32 x 32 images built of it (AdderNet, Chen et al., CVPR 2020).

As in the published checkpoint every convolution but the first is an adder layer, the 1 x 1 shortcuts included; the
first convolution and the last 1 x 1 convolution (with BatchNorm after it) are ordinary ones.
"""

from collections.abc import Callable

from mindspore import Parameter, nn
from mindspore.common.initializer import Normal, initializer

from common.errors import ConfigError
from common.kernels.adder import AdderConv2d
from common.kernels.padded_adder import adder_windows
from common.kernels.padded_conv import Sides
from common.models.layers import Layers
from common.models.resnet_cifar import ConvNormHead, ResNetCifar, published_name

PAD_MODES = ("pad", "same", "valid")
_QUANTIZER_STATE = (".adder_new", ".scale_para")


class Adder2d(nn.Cell):
    """Adder convolution y = -sum |x - w|: (N, C, H, W) to (N, F, OH, OW).

    Weights start from N(0, 1) as in AdderNet: unlike an inner product, the distance needs weights of the size of the
    normalised inputs. Gradients are those of :class:`common.kernels.AdderConv2d`.

    Args:
        channels: number of input channels C.
        filters: number of filters F.
        kernel: side of the square window.
        stride: step of the window.
        padding: zeros on each side, of ``pad_mode`` pad.
        native: force or forbid the C++ kernel; None chooses.
        pad_mode: ``pad``, ``same`` or ``valid``, as of ``nn.Conv2d``.
        dilation: distance of the window's values.

    Raises:
        ConfigError: another pad_mode, or padding with one that takes none.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        native: bool | None = None,
        pad_mode: str = "pad",
        dilation: int = 1,
    ):
        super().__init__()
        if pad_mode not in PAD_MODES or (padding and pad_mode != "pad"):
            raise ConfigError(
                f"adder layer: expected pad_mode {', '.join(PAD_MODES)}, padding with pad alone, found {pad_mode} and "
                f"padding {padding}"
            )
        shape = (filters, channels, kernel, kernel)
        self.weight = Parameter(initializer(Normal(1.0), shape), name="weight")
        self.kernel, self.stride, self.padding, self.pad_mode, self.dilation = (
            kernel,
            stride,
            padding,
            pad_mode,
            dilation,
        )
        self.conv = self.around(lambda step, zeros: AdderConv2d(step, zeros, native))

    def around(self, make: Callable[[int, int], nn.Cell]) -> nn.Cell:
        """A kernel that ``make`` gives for a stride and a padding, with this layer's windows."""
        return adder_windows(self.kernel, self.stride, self.sides, self.dilation, make)

    @property
    def sides(self) -> Sides | None:
        """Zeros above, below, left, right; None: those of ``pad_mode`` same."""
        return None if self.pad_mode == "same" else (self.padding,) * 4

    def construct(self, x):
        return self.conv(x, self.weight)

    def extend_repr(self) -> str:
        return f"shape={self.weight.shape}, stride={self.stride}, padding={self.padding}"


def adder_resnet(depth: int, num_classes: int = 10) -> ResNetCifar:
    """Adder ResNet: (N, 3, 32, 32) to logits (N, num_classes).

    Args:
        depth: 20, 32, 44, 56 or 110.
        num_classes: length of the logits.

    Raises:
        ConfigError: another depth.
    """
    return ResNetCifar(depth, num_classes, "conv", Layers(conv=Adder2d), head=ConvNormHead)


def adder_published_name(name: str) -> str | None:
    """Our name of a tensor of a published AdderNet file, PyTorch's (BatchNorm converted already) or MindSpore's.

    The latter also holds the state of its quantizers, which calibration makes anew: None.
    """
    if name.endswith(_QUANTIZER_STATE):
        return None
    name = published_name(name)
    return name.removesuffix(".adder") + ".weight" if name.endswith(".adder") else name
