"""Candidates of a search step: which quantizers lose bits, and which candidate costs least for what it saves.

A candidate lowers a share of the quantizers that can still be lowered, each by the same interval but not below the
floor. Weights stop where the storage target is met, activations where the target of bit operations is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError
from common.quant.dorefa import MAX_BITS, MIN_BITS
from ProQHA.measure import CostModel

_FLOAT_BITS = 32


@dataclass(frozen=True)
class Targets:
    """Where a search ends; None where nothing is demanded.

    Attributes:
        storage: of :meth:`CostModel.storage`, 4 bits are 0.125.
        compute: of :meth:`CostModel.compute`, 4 x 4 bits are 0.015625.
        floor: least bits of a quantizer.

    Raises:
        ConfigError: a target below what the floor allows, or one that asks for nothing.
    """

    storage: float | None = None
    compute: float | None = None
    floor: int = MIN_BITS

    def __post_init__(self):
        ranges = {
            "cost": (self.storage, self.floor / _FLOAT_BITS, MAX_BITS / _FLOAT_BITS),
            "compute_cost": (self.compute, (self.floor / _FLOAT_BITS) ** 2, (MAX_BITS / _FLOAT_BITS) ** 2),
        }
        for name, (value, low, high) in ranges.items():
            if value is not None and not low <= value < high:
                raise ConfigError(
                    f"{name}: expected {low:g} (all at the floor of {self.floor} bits) up to below {high:g} (all at "
                    f"{MAX_BITS}), found {value:g}"
                )

    def open(self, sizes: CostModel, bits: np.ndarray) -> np.ndarray:
        """Whether weights and whether activations may still lose bits, (2,) bool.

        Weights that are still to reach their target will take bit operations with them, in proportion to their
        storage: activations are left alone where that will do, else they would end lower than they need.
        """
        storage, compute = sizes.storage(bits), sizes.compute(bits)
        storage_met = self.storage is not None and storage <= self.storage
        compute_met = self.compute is not None and compute <= self.compute
        if (self.storage is None or storage_met) and (self.compute is None or compute_met):
            return np.full(2, (self.storage, self.compute) == (None, None))
        ahead = 1.0 if self.storage is None or storage_met else self.storage / storage
        enough = self.compute is not None and compute * ahead <= self.compute
        return np.array([not storage_met, not enough])

    def lowerable(self, sizes: CostModel, bits: np.ndarray) -> np.ndarray:
        """The quantizers that may lose bits, (L, 2) bool."""
        return (bits > self.floor) & self.open(sizes, bits)


@dataclass(frozen=True)
class Moves:
    """How bits are lowered in one step.

    Attributes:
        ratio: of the quantizers that can be lowered, rounded up.
        interval: bits that each loses, down to the floor.
    """

    ratio: float = 0.5
    interval: int = 1

    def lowered(self, bits: np.ndarray, floor: int) -> np.ndarray:
        """Bits (L, 2) of every quantizer if it alone were lowered."""
        return np.maximum(bits - self.interval, np.minimum(bits, floor))


def apply(order: np.ndarray, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves) -> np.ndarray:
    """Bits after lowering quantizers one after the other, leaving out those of a kind whose target is met by then.

    Args:
        order: numbers of quantizers in the flattened (L, 2).
        sizes: of the layers.
        bits: (L, 2) before.
        targets: see there.
        moves: see there.
    """
    found, least = bits.copy(), moves.lowered(bits, targets.floor)
    for index in order:
        layer, column = divmod(int(index), 2)
        if targets.lowerable(sizes, found)[layer, column]:
            found[layer, column] = least[layer, column]
    return found


def draw(
    rng: np.random.Generator, count: int, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves
) -> Iterator[np.ndarray]:
    """``count`` random candidates (L, 2); every draw picks among the quantizers that can be lowered."""
    able = np.flatnonzero(targets.lowerable(sizes, bits))
    chosen = int(np.ceil(moves.ratio * len(able)))
    for _ in range(count):
        yield apply(rng.permutation(able)[:chosen], sizes, bits, targets, moves)


def exact(scores: np.ndarray, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves) -> np.ndarray:
    """The candidate of the quantizers with the least score for what they save, for scores that add up.

    Args:
        scores: (L, 2) of lowering each quantizer.
        sizes: of the layers.
        bits: (L, 2) before.
        targets: see :func:`apply`.
        moves: see :func:`apply`.
    """
    able = np.flatnonzero(targets.lowerable(sizes, bits))
    least = moves.lowered(bits, targets.floor)
    gains = np.zeros(bits.shape)
    for layer, column in np.ndindex(*bits.shape):
        alone = bits.copy()
        alone[layer, column] = least[layer, column]
        gains[layer, column] = saving(sizes, bits, alone)
    worth = (scores / np.maximum(gains, 1e-12)).ravel()[able]
    order = able[np.argsort(worth, kind="stable")]
    return apply(order[: int(np.ceil(moves.ratio * len(able)))], sizes, bits, targets, moves)


def saving(sizes: CostModel, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What bits (..., L, 2) save: the shares of weight storage and of bit operations that go, added."""
    storage = 1 - sizes.storage(after) / sizes.storage(before)
    return storage + 1 - sizes.compute(after) / sizes.compute(before)


def least(scores: np.ndarray, gains: np.ndarray) -> int:
    """The candidate with the least score for what it saves; the first of equals."""
    return int(np.argmin(scores / np.maximum(gains, 1e-12)))
