"""How a convolution or linear layer reads its input, whatever way the layer writes it down."""

from dataclasses import dataclass

from mindspore import nn

from common.errors import ConfigError
from common.kernels.padded_conv import Pair, Sides, padded_conv2d, same_padding


@dataclass(frozen=True)
class ConvGeometry:
    """How a layer reads its input; a linear layer is a 1 x 1 convolution of a 1 x 1 image.

    Attributes:
        kernel: (KH, KW).
        stride: (vertical, horizontal).
        padding: zeros above, below, left, right; None: those of ``pad_mode`` same, which depend on the image's size.
        dilation: (vertical, horizontal) distance of the kernel's weights, 1 if they are neighbours.
        groups: number of channel groups.
        bias: whether the layer adds one.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Sides | None = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False

    def output_size(self, height: int, width: int) -> Pair:
        """(OH, OW) of an image (height, width); below 1 where the padded image is smaller than the kernel."""
        top, bottom, left, right = self.padding_of(height, width)
        free = (height + top + bottom, width + left + right)
        reach = [step * (side - 1) + 1 for step, side in zip(self.dilation, self.kernel)]
        vertical, horizontal = ((f - r) // s + 1 for f, r, s in zip(free, reach, self.stride))
        return vertical, horizontal

    def padding_of(self, height: int, width: int) -> Sides:
        """Zeros above, below, left, right of an image (height, width)."""
        if self.padding is not None:
            return self.padding
        return same_padding((height, width), self.kernel, self.stride, self.dilation)

    @property
    def even(self) -> tuple[int, int] | None:
        """Stride and padding of a layer that has one of each, one group and neighbouring weights; None of others."""
        one_of_each = self.padding is not None and len({*self.padding}) == 1 and self.stride[0] == self.stride[1]
        return (
            (self.stride[0], self.padding[0]) if one_of_each and self.dilation == (1, 1) and self.groups == 1 else None
        )

    def conv2d(self, native: bool | None = None) -> nn.Cell:
        """A convolution of this geometry without parameters, see :func:`common.kernels.padded_conv.padded_conv2d`."""
        return padded_conv2d(self.stride, self.padding, self.dilation, self.groups, native)


def conv_geometry(cell: nn.Cell) -> ConvGeometry:
    """Read the geometry of a ``nn.Conv2d`` or ``nn.Dense``.

    Args:
        cell: layer with any ``pad_mode``, pad, valid or same.

    Raises:
        ConfigError: another kind of layer.
    """
    if isinstance(cell, nn.Dense):
        return ConvGeometry(bias=cell.has_bias)
    if not isinstance(cell, nn.Conv2d):
        raise ConfigError(f"expected a layer Conv2d or Dense, found {type(cell).__name__}")
    padding = _padding(cell)
    kernel, stride, dilation = (pair(value) for value in (cell.kernel_size, cell.stride, cell.dilation))
    return ConvGeometry(kernel, stride, padding, dilation, cell.group, cell.has_bias)


def _padding(conv: nn.Conv2d) -> Sides | None:
    """Zeros above, below, left, right; None where they depend on the image's size."""
    if conv.pad_mode == "pad":
        return (conv.padding,) * 4 if isinstance(conv.padding, int) else tuple(conv.padding)
    if conv.pad_mode == "valid":
        return (0, 0, 0, 0)
    if pair(conv.stride) == (1, 1):
        return same_padding((1, 1), pair(conv.kernel_size), (1, 1), pair(conv.dilation))
    return None


def pair(value: int | tuple[int, ...]) -> Pair:
    """Both numbers of what is one for both directions, or has those of the directions last."""
    return (value, value) if isinstance(value, int) else (value[-2], value[-1])
