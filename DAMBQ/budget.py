"""The budget of an allocation: targets, pace, and which groups lose bits in one of them.

An allocation takes away one bit from each of the ``share`` of the groups with the lowest sensitivity E, among those
that still have bits, until the average is at or below the target. It takes more than its share where the shares of the
epochs that are left would not suffice: what a run ends with is never above its target.
"""

from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError
from DAMBQ.tables import MAX_BITS

GRANULARITIES = ("channel", "layer", "network")


@dataclass(frozen=True)
class Budget:
    """Targets of the average bits, and the pace at which an allocation reaches them.

    Attributes:
        weights: target of the average bits of weights, 0 to 4.
        activations: target of the average bits of activations, 0 to 4.
        granularity: unit that has bits of its own: each ``channel``, each ``layer``, or only the whole ``network``.
        shares: shares of all groups that lose a bit in the first and in the last epoch of ``duration``, linear between.
        duration: first epoch with an allocation, and the epoch from which the share stays at its end.

    Raises:
        ConfigError: a value outside its range.
    """

    weights: float
    activations: float
    granularity: str = "channel"
    shares: tuple[float, float] = (0.01, 0.3)
    duration: tuple[int, int] = (0, 150)

    def __post_init__(self):
        for name, target in (("wgt_target", self.weights), ("act_target", self.activations)):
            if not 0 <= target <= MAX_BITS:
                raise ConfigError(f"{name}: expected an average of 0 to {MAX_BITS} bits, found {target}")
        if self.granularity not in GRANULARITIES:
            raise ConfigError(f"granularity: expected one of {', '.join(GRANULARITIES)}, found {self.granularity!r}")
        if not all(0 < share <= 1 for share in self.shares):
            raise ConfigError(f"shares: expected two above 0 and at most 1, found {self.shares}")
        if not 0 <= self.duration[0] <= self.duration[1]:
            raise ConfigError(f"duration: expected two epochs, the first not after the second, found {self.duration}")

    def share(self, epoch: int) -> float:
        """Share of the groups that lose a bit after an epoch, numbered from 0; 0 before the first."""
        first, last = self.duration
        if epoch < first:
            return 0.0
        progress = min(1.0, (epoch - first) / max(1, last - first))
        return self.shares[0] + progress * (self.shares[1] - self.shares[0])

    def pace(self, first: int, last: int, groups: int) -> float:
        """Bits that the shares of the epochs from ``first`` to before ``last`` take away, groups of equal cost."""
        return sum(_number(self.share(epoch), groups) for epoch in range(first, last)) / groups


def average(bits: np.ndarray, cost: np.ndarray) -> float:
    """Mean of ``bits`` (G,) weighted by ``cost`` (G,)."""
    return float(np.dot(bits, cost) / cost.sum())


def above(bits: np.ndarray, cost: np.ndarray, target: float) -> bool:
    """Whether the average of ``bits`` (G,) is above a target; exact where costs are whole numbers."""
    return float(np.dot(bits, cost)) > target * cost.sum()


def lower(bits: np.ndarray, sensitivity: np.ndarray, cost: np.ndarray, target: float, share: float) -> np.ndarray:
    """Bits after one allocation.

    Args:
        bits: bits of the G groups, integers (G,).
        sensitivity: E of each group, (G,); the lowest lose a bit first, ties in their order.
        cost: number of values of each group, (G,), > 0.
        target: average bits at or below which nothing more is taken.
        share: share of all G groups that lose a bit at most, rounded up.

    Returns:
        A new (G,) array; its average is above the target only if ``share`` did not suffice.
    """
    lowered = bits.copy()
    total, spent = cost.sum(), float(np.dot(bits, cost))
    candidates = [group for group in np.argsort(sensitivity, kind="stable") if bits[group] > 0]
    for group in candidates[: _number(share, len(bits))]:
        if spent <= target * total:
            break
        lowered[group] -= 1
        spent -= cost[group]
    return lowered


def _number(share: float, groups: int) -> int:
    return int(np.ceil(round(share * groups, 9)))


def lower_to(bits: np.ndarray, sensitivity: np.ndarray, cost: np.ndarray, target: float) -> np.ndarray:
    """Bits after as many allocations as bring the average to ``target``; arguments as of :func:`lower`."""
    while above(bits, cost, target):
        bits = lower(bits, sensitivity, cost, target, share=1)
    return bits
