"""Kernels of any window as kernels of neighbouring taps and one padding on all sides, which instructions have."""

from dataclasses import dataclass

import numpy as np

from common.kernels.padded_conv import Pair, Sides


@dataclass(frozen=True)
class Window:
    """How a kernel lies on its image.

    Attributes:
        padding: zeros above, below, left, right.
        dilation: (vertical, horizontal) distance of taps.
        groups: number of channel groups.
    """

    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def even_padding(self) -> int:
        """Zeros on each side of the kernel that :meth:`spread` makes."""
        return max(self.padding)

    def spread(self, weight: np.ndarray, empty: int = 0) -> np.ndarray:
        """The same kernel for :attr:`even_padding`, without dilation and groups: (F, C, KH, KW) for (F, C / G, ...).

        Args:
            weight: (F, C / G, KH, KW).
            empty: weight of the taps between and beside those of the kernel.
        """
        weight = self._of_all_channels(weight, empty)
        top, bottom, left, right = (self.even_padding - side for side in self.padding)
        rows, columns = ((side - 1) * step + 1 for side, step in zip(weight.shape[2:], self.dilation))
        if (rows, columns) == weight.shape[2:] and not any((top, bottom, left, right)):
            return weight
        wide = np.full((*weight.shape[:2], rows + top + bottom, columns + left + right), empty, weight.dtype)
        vertical, horizontal = self.dilation
        wide[:, :, top : top + rows : vertical, left : left + columns : horizontal] = weight
        return wide

    def _of_all_channels(self, weight: np.ndarray, empty: int) -> np.ndarray:
        if self.groups == 1:
            return weight
        filters, channels = len(weight) // self.groups, weight.shape[1]
        every = np.full((len(weight), channels * self.groups, *weight.shape[2:]), empty, weight.dtype)
        for group in range(self.groups):
            rows = slice(group * filters, (group + 1) * filters)
            every[rows, group * channels : (group + 1) * channels] = weight[rows]
        return every


def padded_by(padding: int) -> Window:
    """A window of neighbouring taps and so many zeros on each side."""
    return Window((padding,) * 4)
