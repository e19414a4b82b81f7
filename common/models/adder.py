"""The float adder layer (AdderNet, Chen et al., CVPR 2020)."""

from mindspore import Parameter, nn
from mindspore.common.initializer import Normal, initializer

from common.kernels import AdderConv2d


class Adder2d(nn.Cell):
    """Adder convolution y = -sum |x - w|: (N, C, H, W) to (N, F, OH, OW).

    Weights start from N(0, 1) as in AdderNet: unlike an inner product, the distance needs weights of the size of the
    normalised inputs. Gradients are those of :class:`common.kernels.AdderConv2d`.

    Args:
        channels: C.
        filters: F.
        kernel: side of the square window.
        stride: step of the window.
        padding: zeros on each side.
        native: force or forbid the C++ kernel; None chooses.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1, padding: int = 0, native=None):
        super().__init__()
        shape = (filters, channels, kernel, kernel)
        self.weight = Parameter(initializer(Normal(1.0), shape), name="weight")
        self.stride, self.padding = stride, padding
        self.conv = AdderConv2d(stride, padding, native)

    def construct(self, x):
        return self.conv(x, self.weight)

    def extend_repr(self) -> str:
        return f"shape={self.weight.shape}, stride={self.stride}, padding={self.padding}"
