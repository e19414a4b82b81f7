r"""Weights as bytes: one, or two limbs :math:`w = r\,h + l` where one is too small or makes too many blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.engine.bounds import BYTE, Limits, cut, lane_limits
from common.errors import QuantizationError

_RADICES = (16, 32, 64, 128, 256)
_MOST = 2**15 - 1  # of a multiplier, which AVX2 takes as 16 bits
_WIDENING = 1.2  # cost of a block's end, in steps


@dataclass(frozen=True, eq=False)
class Limb:
    """Bytes whose sums are multiplied by the same number.

    Attributes:
        multiplier: the number.
        weight: (4 S, F), within int8.
        lengths: of the blocks, in steps.
        limits: bounds of the lanes.
    """

    multiplier: int
    weight: np.ndarray
    lengths: list[int]
    limits: Limits

    @property
    def cost(self) -> float:
        """Time that it takes, in steps."""
        return sum(self.lengths) + _WIDENING * len(self.lengths)


def limbs_of(weight: np.ndarray, largest: np.ndarray, factor: int = 1) -> list[Limb]:
    """The cheapest limbs of integers times a factor.

    Args:
        weight: integers (4 S, F) of S steps.
        largest: code of each tap, (4 S,).
        factor: of all.

    Raises:
        QuantizationError: integers that two limbs cannot hold.
    """
    every = ([_limb(factor, weight, largest)], *_pairs(weight, largest, factor))
    choices = [limbs for limbs in every if None not in limbs]
    if not choices:
        size, code = np.abs(weight).max(), largest.max()
        raise QuantizationError(
            f"integer engine: expected weights that two limbs of 8 bits hold, found one of size {size} with codes up "
            f"to {code}"
        )
    return min(choices, key=lambda limbs: sum(limb.cost for limb in limbs))


def _pairs(weight: np.ndarray, largest: np.ndarray, factor: int) -> Iterator[list[Limb | None]]:
    for radix in _RADICES:
        upper = np.rint(weight / radix).astype(np.int64)
        yield [_limb(radix * factor, upper, largest), _limb(factor, weight - radix * upper, largest)]


def _limb(multiplier: int, weight: np.ndarray, largest: np.ndarray) -> Limb | None:
    """None if it does not fit bytes, lanes or the multiplier 16 bits."""
    if abs(multiplier) > _MOST or weight.max(initial=0) > BYTE or weight.min(initial=0) < -BYTE - 1:
        return None
    limits = lane_limits(weight, largest)
    lengths = cut(limits)
    return None if lengths is None else Limb(multiplier, weight, lengths, limits)
