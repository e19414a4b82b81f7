"""Adder layers with any padding, stride and dilation, around the kernels of square strides without dilation."""

from collections.abc import Callable

from mindspore import nn, ops

from common.kernels.padded_conv import Pair, Sides, same_padding, surrounded


class PaddedAdder(nn.Cell):
    """Hands an adder kernel windows in the form that it takes: ``construct(x, w, *rest)``.

    Zeros are put around the image first: a distance to 0 counts, so padding is part of the sum. A dilated kernel, or
    one of unequal strides, is the kernel 1 x 1 on an image whose channels are the window's values.

    Args:
        kernel: cell of (x, w, ...) of stride ``stride``, or 1 if the windows are unequal, without padding.
        size: (KH, KW).
        stride: vertical and horizontal step.
        padding: zeros above, below, left, right; None: those of ``pad_mode`` same.
        dilation: vertical and horizontal distance of the kernel's weights.
    """

    def __init__(self, kernel: nn.Cell, size: Pair, stride: Pair, padding: Sides | None, dilation: Pair):
        super().__init__()
        self.kernel, self.size, self.stride, self.padding, self.dilation = kernel, size, stride, padding, dilation
        self.unequal = is_unequal(stride, dilation)

    def construct(self, x, w, *rest):
        padding = self.padding
        if padding is None:
            padding = same_padding(x.shape[2:], self.size, self.stride, self.dilation)
        x = surrounded(x, padding)
        if not self.unequal:
            return self.kernel(x, w, *rest)
        flat = w.transpose(0, 2, 3, 1).reshape(w.shape[0], -1, 1, 1)  # (F, KH KW C, 1, 1)
        return self.kernel(self.windows(x), flat, *rest)

    def windows(self, x):
        """The values under each window as channels: (N, C, H, W) to (N, KH KW C, OH, OW)."""
        rows = (x.shape[2] - self.dilation[0] * (self.size[0] - 1) - 1) // self.stride[0] + 1
        columns = (x.shape[3] - self.dilation[1] * (self.size[1] - 1) - 1) // self.stride[1] + 1
        parts = []
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                top, left = i * self.dilation[0], j * self.dilation[1]
                below, right = top + (rows - 1) * self.stride[0] + 1, left + (columns - 1) * self.stride[1] + 1
                parts.append(x[:, :, top : below : self.stride[0], left : right : self.stride[1]])
        return ops.concat(parts, 1)


def is_unequal(stride: Pair, dilation: Pair) -> bool:
    """Whether windows are none that the kernels take."""
    return stride[0] != stride[1] or dilation != (1, 1)


def adder_windows(
    size: int, stride: int, sides: Sides | None, dilation: int, make: Callable[[int, int], nn.Cell]
) -> nn.Cell:
    """A kernel with the windows of a layer.

    Args:
        size: side of the window.
        stride: its step.
        sides: zeros above, below, left, right; None: those of ``pad_mode`` same.
        dilation: distance of the window's values.
        make: from stride and padding to a cell of (x, w, ...).
    """
    if dilation == 1 and sides is not None and len(set(sides)) == 1:
        return make(stride, sides[0])
    unequal = is_unequal((stride,) * 2, (dilation,) * 2)
    return PaddedAdder(make(1 if unequal else stride, 0), (size,) * 2, (stride,) * 2, sides, (dilation,) * 2)
