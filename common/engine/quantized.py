r"""A packed layer as integers times floats.

Weights: the levels of a table are multiples of 1 / D, so that :math:`w_f = (s_f / D_f)\,\mathrm{integers}_f`.

Codes: bits of each channel share one grid, :math:`x_c = (a / L)\,n_c\,j_c` with L the least common multiple of the
:math:`2^{k_c} - 1` and :math:`n_c = L / (2^{k_c} - 1)`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.engine.builder import refuse
from common.engine.description import PLANE, Grid
from common.quant.integer_weight import ActivationGrid, IntegerWeight
from common.quant.level_table import LevelTable

_MOST_PARTS = 5000  # of a unit that levels are multiples of
_MOST_CODE = 255
PLANES = 16  # bits of codes in two planes
_MOST_STEPS = 255
_ROUNDED = 2.0**-24  # relative error of a number that is rounded to float32
_SUBTRACTED = 2.0**-23  # absolute error of 2 c / steps - 1 in float32, near 0 far more than that


@dataclass(frozen=True, eq=False)
class Integers:
    """Weights.

    Attributes:
        values: int64 (F, ...).
        scale: float64 (F,): weights are scale times values.
    """

    values: np.ndarray
    scale: np.ndarray


def integers_of(weight: IntegerWeight) -> Integers:
    """The integers of a layer's weights, as small as their levels allow."""
    rows = len(weight.codes)
    bits, scale = np.broadcast_to(weight.bits, rows), np.broadcast_to(weight.scale, rows).astype(np.float64)
    values, parts = np.zeros(weight.codes.shape, np.int64), np.ones(rows, np.int64)
    for width in np.unique(bits[bits > 0]).tolist():
        chosen, (levels, denominator) = bits == width, integer_levels(weight.levels, width)
        values[chosen], parts[chosen] = levels[weight.codes[chosen]], denominator
    return Integers(values, scale / parts)


@functools.cache
def integer_levels(table: LevelTable, bits: int) -> tuple[np.ndarray, int]:
    """Integers (n,) and the D that levels are the D-th parts of.

    Raises:
        QuantizationError: levels that are multiples of no such part.
    """
    levels = table.levels(bits).astype(np.float64)
    tolerances = ((_MOST_PARTS, _ROUNDED * np.abs(levels)), (_MOST_STEPS, np.full(len(levels), _SUBTRACTED)))
    for most, tolerance in tolerances:
        for parts in range(1, most + 1):
            integers = np.rint(levels * parts)
            if (np.abs(levels - integers / parts) <= tolerance).all():
                return integers.astype(np.int64), parts
    raise refuse(
        f"expected levels that are multiples of 1 / D, D up to {_MOST_PARTS}, found {table.name} of {bits} bits"
    )


@dataclass(frozen=True, eq=False)
class Input:
    """What a layer reads.

    Attributes:
        grid: of its codes.
        unit: what a code of 1 stands for, float64.
    """

    grid: Grid
    unit: float

    def of_planes(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Integers (F, C, ...) for each channel of the codes, two of each where they have two planes; multipliers."""
        if not self.grid.planes:
            return weight, None
        return np.concatenate([weight, weight], 1), np.repeat([PLANE, 1], weight.shape[1])


def input_of_choice(grids: Sequence[ActivationGrid], decision: int) -> tuple[Grid, tuple[float, ...]]:
    """The codes of a layer whose images choose among grids, and the unit of each candidate."""
    inputs = [input_of(grid) for grid in grids]
    parts = [np.stack([getattr(made.grid, part) for made in inputs]) for part in ("steps", "top", "multiplier")]
    return Grid(*parts, decision=decision), tuple(made.unit for made in inputs)


def input_of(grid: ActivationGrid) -> Input:
    """The codes of a layer's input.

    Raises:
        QuantizationError: signed inputs, or bits whose common grid has codes beyond a byte.
    """
    if grid.signed:
        raise refuse("signed inputs of a layer are not among its instructions")
    clip, widths = grid.clip.astype(np.float32), grid.bits.astype(np.int64)
    if widths.tolist() == [PLANES]:
        top = np.array([2**PLANES - 1])
        return Input(Grid(top.astype(np.float32) / clip, top, planes=True), float(clip[0]) / int(top[0]))
    tops = 2**widths - 1
    used = np.unique(tops[tops > 0]).tolist()
    common = math.lcm(*used) if used else 1
    if common > _MOST_CODE:
        raise refuse(f"expected bits of channels with a common grid of at most {_MOST_CODE} steps, found {common}")
    steps = tops.astype(np.float32) / clip  # one float32 division, as the quantizers compute
    multiplier = np.where(tops > 0, common // np.maximum(tops, 1), 1)
    return Input(Grid(steps, tops, multiplier), float(clip[0]) / common)
