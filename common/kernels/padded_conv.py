"""Convolutions whose padding, stride or dilation differ by side, and those padded as MindSpore's ``same`` does."""

from mindspore import nn, ops

from common.kernels.conv import float_conv2d

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def same_padding(image: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Sides:
    """Zeros above, below, left and right of an image (H, W) under MindSpore's default ``pad_mode`` same.

    The output has ceil(H / stride) rows; of an odd number of zeros the larger half is below and on the right.

    >>> same_padding((32, 32), (3, 3), (2, 2), (1, 1))
    (0, 1, 0, 1)
    """
    sides = []
    for size, width, step, spread in zip(image, kernel, stride, dilation):
        zeros = max(0, (-(-size // step) - 1) * step + spread * (width - 1) + 1 - size)
        sides += [zeros // 2, zeros - zeros // 2]
    return tuple(sides)


class PaddedConv2d(nn.Cell):
    """Zeros around the image, then a convolution without padding: ``construct(x, w)`` as :func:`padded_conv2d` says."""

    def __init__(self, stride: Pair, padding: Sides | None, dilation: Pair, groups: int, native: bool | None):
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        plain = stride[0] == stride[1] and dilation == (1, 1)
        self.conv = float_conv2d(stride[0], 0, groups, native) if plain else _UnequalConv2d(stride, dilation, groups)

    def construct(self, x, w):
        padding = self.padding
        if padding is None:
            padding = same_padding(x.shape[2:], w.shape[2:], self.stride, self.dilation)
        return self.conv(surrounded(x, padding), w)


class _UnequalConv2d(nn.Cell):
    """MindSpore's own operator without padding: any stride, dilation and groups."""

    def __init__(self, stride: Pair, dilation: Pair, groups: int):
        super().__init__()
        self.stride, self.dilation, self.groups = stride, dilation, groups

    def construct(self, x, w):
        return ops.conv2d(x, w, None, self.stride, "valid", 0, self.dilation, self.groups)


def surrounded(x, padding: Sides):
    """An image (N, C, H, W) with zeros above, below, left and right."""
    top, bottom, left, right = padding
    return x if max(padding) == 0 else ops.pad(x, (left, right, top, bottom))


def padded_conv2d(
    stride: Pair = (1, 1),
    padding: Sides | None = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    native: bool | None = None,
) -> nn.Cell:
    """A convolution without parameters: ``construct(x, w)`` takes (N, C, H, W) and (F, C / groups, KH, KW), float32.

    Args:
        stride: vertical and horizontal step.
        padding: zeros above, below, left, right; None: those of :func:`same_padding`.
        dilation: vertical and horizontal distance of the kernel's weights.
        groups: of channels.
        native: force (True) or forbid (False) the C++ kernel where there is one: dilated kernels, and strides that
            differ by direction, are MindSpore's own; None chooses.

    Returns:
        A cell that gives (N, F, OH, OW), in GRAPH and PYNATIVE mode, with gradients for x and w.
    """
    if padding is not None and len(set(padding)) == 1 and stride[0] == stride[1] and dilation == (1, 1):
        return float_conv2d(stride[0], padding[0], groups, native)
    return PaddedConv2d(stride, padding, dilation, groups, native)
