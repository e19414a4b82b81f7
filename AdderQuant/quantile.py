"""A quantile over any amount of data in one pass and fixed memory."""

import numpy as np


class StreamingQuantile:
    """Quantiles of |x| from a histogram over the upper bits of float32: any amount of data in 8 MiB.

    Bins are 2^-12 of an octave's lower end wide, so a quantile is within 2.5e-4 of its own size. Histograms add up.
    """

    _SHIFT = 11  # drops the low mantissa bits of a float32: 2^20 bins for the non-negative half

    def __init__(self):
        self.histogram = np.zeros(1 << (31 - self._SHIFT), np.int64)
        self.minimum = np.inf

    def add(self, values: np.ndarray) -> None:
        """Count the values of an array of any shape."""
        values = np.ascontiguousarray(values, np.float32).reshape(-1)
        self.minimum = min(self.minimum, float(values.min()))
        bins = (values.view(np.uint32) & 0x7FFFFFFF) >> self._SHIFT
        self.histogram += np.bincount(bins, minlength=len(self.histogram))

    def quantile(self, ratio: float) -> float:
        """The value that ``ratio`` of all |x| do not exceed, interpolated within its bin."""
        cumulative = np.cumsum(self.histogram)
        rank = ratio * (cumulative[-1] - 1)
        index = int(np.searchsorted(cumulative, rank, side="right"))
        before = cumulative[index - 1] if index else 0
        low, high = (np.array([index, index + 1], np.uint32) << self._SHIFT).view(np.float32)
        return float(low + (high - low) * (rank - before) / self.histogram[index])
