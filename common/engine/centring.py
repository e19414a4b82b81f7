r"""Sums that are large beside their spread, brought near 0 before they become float32.

Sums of absolute differences are never negative, and the BatchNorm behind them takes their mean away: in
:math:`a S + b` two numbers cancel that are far larger than their sum, and float32's rounding of a, of the product and
of b stays, as large as it was. With an integer o near :math:`-b / a`,

.. math:: a S + b = a\,(S - o) + (b + a\,o),

the difference of integers is exact, and all that float32 rounds is of the size of the result.
"""

import numpy as np

from common.engine.description import PLANE

_MOST = 2**24  # integers that float32 has


def centred(scale: np.ndarray, offset: np.ndarray, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """The integers o (F,), as float64, and b + a o.

    Args:
        scale: a, float64 (F,).
        offset: b, float64 (F,).
        taps: differences in a sum, each of at most 255; o is a sum that can occur, so that S - o needs no more bits.
    """
    wanted = np.divide(-offset, scale, out=np.zeros_like(offset), where=scale != 0)
    integers = np.rint(np.clip(wanted, 0, min(taps * (PLANE - 1), _MOST)))
    return integers, offset + scale * integers
