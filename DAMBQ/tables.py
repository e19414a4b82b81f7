r"""The levels of DAMBQ's weights: sums of binary codes, fitted offline to a Laplace distribution.

A weight of k bits is :math:`s \sum_{i \le k} a_i b_i` with codes :math:`b_i \in \{-1, +1\}`, coefficients
:math:`\sum_i a_i = 1` that depend on k alone, and a scale :math:`s = c_k\,\mathrm{mean}|w|` of the output channel. The
authors published two tables of a and c, which differ from 2 bits (a) and 3 bits (c) up. A third one, ``int8``, is ours:
the first with levels that are 8-bit integers, which integer arithmetic takes at half the cost.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.quant.level_table import LevelTable, register
from common.quant.zeros import with_zero

MAX_BITS = 4


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Coefficients and clips of 0 to ``MAX_BITS`` bits.

    Attributes:
        coefficients: a_1 ... a_k in row k, then zeros; float64 (5, 4).
        clips: c_k; float64 (5,).
    """

    coefficients: np.ndarray
    clips: np.ndarray

    def levels(self, bits: int) -> np.ndarray:
        """The 2^bits levels in rising order, from -1 to 1; of 0 bits, the one level 0.

        Example:
            >>> TABLES["v2"].levels(2)
            array([-1.    , -0.2246,  0.2246,  1.    ])
        """
        codes = np.array(list(itertools.product((-1.0, 1.0), repeat=bits)))
        return np.sort(codes @ self.coefficients[bits, :bits])

    def as_array(self) -> np.ndarray:
        """The levels of k bits in row k, then zeros; float32 (5, 16), as the kernels take it."""
        table = np.zeros((MAX_BITS + 1, 2**MAX_BITS), np.float32)
        for bits in range(1, MAX_BITS + 1):
            table[bits, : 2**bits] = self.levels(bits)
        return table

    def codes(self, values: np.ndarray, bits: int) -> np.ndarray:
        """The binary codes b of levels (n,): int8 (n, bits) of -1 and +1.

        Args:
            values: levels of :meth:`levels`, exactly or after rounding to float32.
            bits: width of the codes, 0 to 4.
        """
        codes = np.array(list(itertools.product((-1, 1), repeat=bits)), np.int8)
        sums = codes @ self.coefficients[bits, :bits]
        return codes[np.abs(values[:, None] - sums).argmin(1)]


def _table(rows: list[list[float]], clips: list[float]) -> CodeTable:
    coefficients = np.zeros((MAX_BITS + 1, MAX_BITS))
    for bits, row in enumerate(rows):
        coefficients[bits, :bits] = row
    return CodeTable(coefficients, np.array(clips))


TABLES = {
    "v2": _table(
        [[], [1], [0.6123, 0.3877], [0.4557, 0.3436, 0.2007], [0.3317, 0.2858, 0.2346, 0.1479]],
        [0.5, 0.98, 2.6, 4.16, 5.66],
    ),
    "v1-cifar": _table(
        [[], [1], [0.65, 0.35], [7 / 15, 1 / 3, 1 / 5], [0.32, 0.28, 0.24, 0.16]],
        [0.5, 0.98, 2.43, 4.36, 5.52],
    ),
    # v2 rounded so that all levels are multiples of 1/49, 1/112 and 1/98: 8-bit integers, no level 0.0007 away.
    "int8": _table(
        [[], [1], [30 / 49, 19 / 49], [102 / 224, 77 / 224, 45 / 224], [65 / 196, 56 / 196, 46 / 196, 29 / 196]],
        [0.5, 0.98, 2.6, 4.16, 5.66],
    ),
}


def _levels_of(table: CodeTable) -> Callable[[int], np.ndarray]:
    rows = table.as_array()
    return lambda bits: rows[bits, : 2**bits]


LEVELS = {
    name: register(LevelTable(name, _levels_of(table), tuple(range(1, MAX_BITS + 1)))) for name, table in TABLES.items()
}
LEVELS_ZERO = {name: with_zero(table) for name, table in LEVELS.items()}  # of layers with pruned weights
