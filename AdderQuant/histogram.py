"""Statistics of a layer's inputs for calibration, over any amount of data in one pass and fixed memory."""

import numpy as np

from common import distributed

_SHIFT = 11  # drops the low mantissa bits of a float32: 2^20 bins for the non-negative half
_OCTAVE = 1 << (23 - _SHIFT)  # bins between two powers of 2
_LARGEST = float(np.finfo(np.float32).max)
# Shares of the inputs that the search for the least error tries to leave unclamped.
_SHARES = (0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99995, 1.0)


class MagnitudeHistogram:
    """Histogram of |x| over the upper bits of float32, 8 MiB; histograms of parts add up.

    Bins are 2^-12 of an octave's lower end wide, so a quantile is within 2.5e-4 of its own size.

    Attributes:
        counts: int64 (2^20,), values per bin.
        minimum: the smallest x, with its sign.
    """

    def __init__(self):
        self.counts = np.zeros(1 << (31 - _SHIFT), np.int64)
        self.minimum = np.inf

    def add(self, values: np.ndarray) -> None:
        """Count the values of an array of any shape."""
        values = np.ascontiguousarray(values, np.float32).reshape(-1)
        self.minimum = min(self.minimum, float(values.min()))
        bins = (values.view(np.uint32) & 0x7FFFFFFF) >> _SHIFT
        self.counts += np.bincount(bins, minlength=len(self.counts))

    def add_others(self) -> None:
        """Add the counts of all other processes, each of which calls this too: all end with the same histogram."""
        octaves = self.counts.reshape(-1, _OCTAVE)
        used = distributed.total(octaves.any(1)) > 0  # the empty ones need not travel
        octaves[used] = distributed.total(octaves[used])
        minimum = np.clip(self.minimum, -_LARGEST, _LARGEST)  # infinite where there was no value
        self.minimum = float(distributed.gathered(minimum).min())

    def quantile(self, ratio: float) -> float:
        """The value that ``ratio`` of all |x| do not exceed, interpolated within its bin."""
        cumulative = np.cumsum(self.counts)
        rank = ratio * (cumulative[-1] - 1)
        index = int(np.searchsorted(cumulative, rank, side="right"))
        if index == 0:
            return 0.0  # zeros, and numbers below the smallest normal one
        low, high = _lower_edges(np.array([index, index + 1]))
        return float(low + (high - low) * (rank - cumulative[index - 1]) / self.counts[index])

    def least_error_range(self, bits: int) -> float:
        """The range R whose grid k R / (2^bits - 1) gives |x| the least squared error, clamping and rounding together.

        Tried are the quantiles that leave 98 % to 100 % of the inputs unclamped.
        """
        bins = np.flatnonzero(self.counts)
        values, counts = _lower_edges(bins).astype(np.float64), self.counts[bins]

        def error(reach: float) -> float:
            step = reach / (2**bits - 1)
            return float(counts @ (values - step * np.rint(np.clip(values, 0, reach) / step)) ** 2)

        ranges = [reach for reach in map(self.quantile, _SHARES) if reach > 0]
        return min(ranges, key=error, default=0.0)


def _lower_edges(bins: np.ndarray) -> np.ndarray:
    return (bins.astype(np.uint32) << _SHIFT).view(np.float32)
