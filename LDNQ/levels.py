r"""The level sets of LDNQ and the projection onto them.

A weight is a level q times the scale a of its layer or of its output channel. The number of levels names the
set (``--kbits`` of the original release):

======  ==============================  ==============  ==================================
number  levels q                        bits of a code  largest weight (zero: always one)
======  ==============================  ==============  ==================================
3       0, ±1                           2               a
5       0, ±1, ±2                       3               2 a
7       0, ±1, ±2, ±4                   3               4 a
9       0, ±1, ±2, ±4, ±8               4               8 a
11      0, ±1, ±2, ±4, ±8, ±16          4               16 a
======  ==============================  ==============  ==================================

A value half-way between two levels goes to the one farther from zero.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError
from common.quant.level_table import LevelTable, register

LEVEL_COUNTS = (3, 5, 7, 9, 11)
_STARTS, _PER_OCTAVE, _HEADROOM, _SEARCH_STEPS = 24, 6, 1.25, 4


def magnitudes(level_count: int) -> np.ndarray:
    """The levels from zero up: ``0, 1, 2, 4, ...``, float64 ((level_count + 1) / 2,).

    Raises:
        ConfigError: a number of levels that is not one of ``LEVEL_COUNTS``.
    """
    if level_count not in LEVEL_COUNTS:
        known = ", ".join(map(str, LEVEL_COUNTS))
        raise ConfigError(f"levels: expected a number of levels of {known}, found {level_count}")
    return np.concatenate(([0.0], 2.0 ** np.arange((level_count - 1) // 2)))


def code_bits(level_count: int) -> int:
    """Bits that one code takes in a file: 2 for 3 levels, 3 for 5 and 7, 4 for 9 and 11."""
    return int(2 * len(magnitudes(level_count)) - 2).bit_length()


def nearest_levels(values: np.ndarray, level_count: int) -> np.ndarray:
    """The level nearest to each value, ties away from zero.

    Example:
        >>> nearest_levels(np.array([0.4, -0.5, 1.5, 3.0, -9.0]), 7)
        array([ 0., -1.,  2.,  4., -4.])
    """
    levels = magnitudes(level_count)
    middles = (levels[1:] + levels[:-1]) / 2
    return np.copysign(levels[np.searchsorted(middles, np.abs(values), side="right")], values) + 0.0


def to_codes(levels: np.ndarray, level_count: int) -> np.ndarray:
    """Levels as unsigned codes 0 ... n - 1 in rising order, zero in the middle; uint8."""
    return np.searchsorted(signed_levels(level_count), levels).astype(np.uint8)


def signed_levels(level_count: int) -> np.ndarray:
    """All levels in rising order, float64 (n,): what the codes 0 ... n - 1 stand for."""
    levels = magnitudes(level_count)
    return np.concatenate((-levels[:0:-1], levels))


def _table(count: int) -> LevelTable:
    return LevelTable(f"{count}-levels", lambda _: signed_levels(count).astype(np.float32), (code_bits(count),))


TABLES = {count: register(_table(count)) for count in LEVEL_COUNTS}


@dataclass(frozen=True, eq=False)
class Solution:
    """A weight matrix on its levels, and how good it is.

    Attributes:
        levels: level q of each weight, (F, n) float64.
        scale: scale a of all weights (1, 1), or of each row (F, 1); float64, 0 where a row is all zero.
        error: value of the objective that was minimised.
    """

    levels: np.ndarray
    scale: np.ndarray
    error: float

    @property
    def values(self) -> np.ndarray:
        """The weights a q, (F, n)."""
        return self.scale * self.levels


def initial_scale(weight: np.ndarray, level_count: int, per_channel: bool) -> np.ndarray:
    """Start of the projection: mean |w| for 3 levels, half of it for more; (1, 1) or (F, 1)."""
    axis = 1 if per_channel else None
    return np.abs(weight).mean(axis, keepdims=True) / (1 if level_count == 3 else 2)


def project(
    weight: np.ndarray,
    level_count: int,
    per_channel: bool = False,
    scale: np.ndarray | None = None,
    iterations: int = 10,
) -> Solution:
    """Nearest point on the levels, by alternating q = nearest(w / a) and a = <w, q> / <q, q>.

    No step raises ||w - a q||^2; where it stops depends on the start, as with k-means.

    Args:
        weight: float weights, (F, n).
        level_count: number of levels.
        per_channel: whether each row has a scale of its own.
        scale: scale to begin with; :func:`initial_scale` if not given.
        iterations: number of iterations, at most; it ends as soon as the scale stays the same.
    """
    scale = initial_scale(weight, level_count, per_channel) if scale is None else scale
    size, before = np.abs(weight), None
    for _ in range(iterations):
        levels = _reached(size, scale, level_count)
        if before is not None and np.array_equal(before, scale):
            break
        before, scale = scale, _divided(_dot(size, levels, per_channel), _dot(levels, levels, per_channel))
    levels = np.copysign(levels, weight) + 0.0
    return Solution(levels, scale, float(np.vdot(weight - scale * levels, weight - scale * levels)))


def scale_grid(weight: np.ndarray, level_count: int, per_channel: bool) -> list[np.ndarray]:
    """Scales to begin with, (1, 1) or (F, 1): from a little above the one that reaches the largest weight down.

    Between 2^i and 2^(i+1) the levels look alike, so that the error has a minimum in every octave of the scale: one
    start finds the one that is near to it.
    """
    largest = np.abs(weight).max(1 if per_channel else None, keepdims=True) / magnitudes(level_count)[-1]
    return [_HEADROOM * largest * 2.0 ** (-start / _PER_OCTAVE) for start in range(_STARTS)]


def searched_scale(weight: np.ndarray, importance: np.ndarray, level_count: int, per_channel: bool) -> np.ndarray:
    """The scale of least weighted squared error that q = nearest(w / a) and a = <w, q> / <q, q> reach from the grid.

    Args:
        weight: float weights, (F, n).
        importance: weight of each column's squared error, (n,): the diagonal of the Hessian.
        level_count: number of levels.
        per_channel: whether each row has a scale of its own.

    Returns:
        (1, 1) or (F, 1); 0 where all weights are.
    """
    best, least = initial_scale(weight, level_count, per_channel), np.inf
    size, weighted = np.abs(weight), np.abs(weight) * importance
    for scale in scale_grid(weight, level_count, per_channel):
        for _ in range(_SEARCH_STEPS):
            levels = _reached(size, scale, level_count)
            scale = _divided(_dot(weighted, levels, per_channel), _dot(importance * levels, levels, per_channel))
        error = importance * np.square(size - scale * _reached(size, scale, level_count))
        error = error.sum(1 if per_channel else None, keepdims=True)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best


def _reached(size: np.ndarray, scale: np.ndarray, level_count: int) -> np.ndarray:
    """The level nearest to each ``size`` / ``scale``, both >= 0, ties upwards; 0 where the scale is 0."""
    positive, limit = magnitudes(level_count), np.where(scale > 0, scale, np.inf)
    levels = (size >= 0.5 * limit).astype(np.float64)
    for low, high in itertools.pairwise(positive[1:]):
        levels += (high - low) * (size >= (low + high) / 2 * limit)
    return levels


def _dot(left: np.ndarray, right: np.ndarray, per_channel: bool) -> np.ndarray:
    """Sum of products over everything (1, 1), or over each row (F, 1)."""
    rows = np.einsum("fi,fi->f", left, right)
    return rows[:, None] if per_channel else rows.sum().reshape(1, 1)


def _divided(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Quotients, 0 where the divisor is 0: a row of zeros keeps scale and levels 0."""
    return np.divide(value, by, out=np.zeros(np.broadcast_shapes(value.shape, by.shape)), where=by != 0)
