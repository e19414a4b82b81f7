"""How a convolution or linear layer reads its input, whatever way the layer writes it down."""

from dataclasses import dataclass

from mindspore import nn

from common.errors import ConfigError

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvGeometry:
    """How a layer reads its input; a linear layer is a 1 x 1 convolution of a 1 x 1 image.

    Attributes:
        kernel: (KH, KW).
        stride: (vertical, horizontal).
        padding: zeros above, below, left, right.
        dilation: (vertical, horizontal) distance of the kernel's weights, 1 if they are neighbours.
        groups: number of channel groups.
        bias: whether the layer adds one.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False

    def output_size(self, height: int, width: int) -> Pair:
        """(OH, OW) of an image (height, width); below 1 where the padded image is smaller than the kernel."""
        top, bottom, left, right = self.padding
        free = (height + top + bottom, width + left + right)
        reach = [step * (side - 1) + 1 for step, side in zip(self.dilation, self.kernel)]
        vertical, horizontal = ((f - r) // s + 1 for f, r, s in zip(free, reach, self.stride))
        return vertical, horizontal

    def stride_and_padding(self) -> Pair:
        """The one stride and the one padding, as this project's kernels take them.

        Raises:
            ConfigError: they differ by direction, or the kernel is dilated.
        """
        if self.dilation != (1, 1) or len(set(self.stride)) != 1 or len(set(self.padding)) != 1:
            raise ConfigError(
                "convolution: expected no dilation, and one stride and one padding in all directions, found dilation "
                f"{self.dilation}, stride {self.stride}, padding {self.padding}"
            )
        return self.stride[0], self.padding[0]


def conv_geometry(cell: nn.Cell) -> ConvGeometry:
    """Read the geometry of a ``nn.Conv2d`` or ``nn.Dense``.

    Args:
        cell: ``pad_mode`` of a convolution is pad, valid, or same with stride 1: with another stride the padding of
            ``same`` depends on the image's size.

    Raises:
        ConfigError: another kind of layer, or another ``pad_mode``.
    """
    if isinstance(cell, nn.Dense):
        return ConvGeometry(bias=cell.has_bias)
    if not isinstance(cell, nn.Conv2d):
        raise ConfigError(f"expected a layer Conv2d or Dense, found {type(cell).__name__}")
    padding = _padding(cell)
    kernel, stride, dilation = (_pair(value) for value in (cell.kernel_size, cell.stride, cell.dilation))
    return ConvGeometry(kernel, stride, padding, dilation, cell.group, cell.has_bias)


def _padding(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Zeros above, below, left, right."""
    if conv.pad_mode == "pad":
        return (conv.padding,) * 4 if isinstance(conv.padding, int) else tuple(conv.padding)
    if conv.pad_mode == "valid":
        return (0, 0, 0, 0)
    if conv.pad_mode == "same" and _pair(conv.stride) == (1, 1):
        vertical, horizontal = (d * (k - 1) for d, k in zip(_pair(conv.dilation), _pair(conv.kernel_size)))
        return vertical // 2, vertical - vertical // 2, horizontal // 2, horizontal - horizontal // 2
    raise ConfigError(
        f"{type(conv).__name__}: expected pad_mode pad, valid, or same with stride 1, found {conv.pad_mode} with "
        f"stride {_pair(conv.stride)}; describe the layer with pad_mode pad and its padding"
    )


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[-2], value[-1])
