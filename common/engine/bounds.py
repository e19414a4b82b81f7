r"""The proof that lanes of 16 and sums of 32 bits hold every sum of a layer, from its weights.

Codes x are not negative, so a lane's sum over any steps lies between :math:`\sum_k t_k \min(w_k, 0)` and
:math:`\sum_k t_k \max(w_k, 0)`, t the largest code of the tap's channel. Both only grow in size with the steps, and
addition of lanes is modular: a block of steps is right if the bounds of the whole block fit. A lane takes two taps of
each step, added by an instruction that saturates; their own bounds are part of the block's.
"""

from dataclasses import dataclass

import numpy as np

from common.engine.layout import STEP_TAPS
from common.errors import QuantizationError

LANE = 2**15 - 1
SUM = 2**31 - 1
BYTE = 2**7 - 1
_TAPS = 2  # that a lane takes of each step


@dataclass(frozen=True, eq=False)
class Limits:
    """Bounds of sums: what they can be at least, at most; integers of the same shape."""

    low: np.ndarray
    high: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """The largest size of each."""
        return np.maximum(-self.low, self.high)


def lane_limits(weight: np.ndarray, largest: np.ndarray) -> Limits:
    """Bounds of the lanes at each step.

    Args:
        weight: integers (4 S, F) of S steps.
        largest: codes (4 S,).

    Returns:
        (S, 2, F) each.
    """
    products = (weight * largest[:, None]).reshape(-1, STEP_TAPS // _TAPS, _TAPS, weight.shape[1])
    return Limits(np.minimum(products, 0).sum(2), np.maximum(products, 0).sum(2))


def cut(limits: Limits) -> list[int] | None:
    """Lengths of the longest blocks whose lanes fit 16 bits; None if a step alone does not."""
    if (limits.high > LANE).any() or (limits.low < -LANE - 1).any():
        return None
    lengths, low, high = [0], 0, 0
    for step_low, step_high in zip(limits.low, limits.high):
        low, high = low + step_low, high + step_high
        if (high > LANE).any() or (low < -LANE - 1).any():
            lengths.append(0)
            low, high = step_low, step_high
        lengths[-1] += 1
    return lengths


def check_sums(parts: list[tuple[int, Limits]]) -> int:
    """The largest size of a layer's sums.

    Args:
        parts: multiplier and bounds of the lanes of each segment.

    Raises:
        QuantizationError: it does not fit 32 bits.
    """
    sizes = sum(abs(multiplier) * limits.size.sum((0, 1)) for multiplier, limits in parts)
    largest = int(np.max(sizes))
    if largest > SUM:
        raise QuantizationError(f"integer engine: expected sums below 2^31, found a layer with one of up to {largest}")
    return largest
