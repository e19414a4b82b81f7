"""Candidates of a search step: which quantizers lose bits, and which of them costs least for what it saves.

A candidate lowers a share of the quantizers that can still be lowered, each by the same interval but not below the
floor. Weights stop where the storage target is met, activations where the target of bit operations is.
"""

from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError
from common.quant.dorefa import MAX_BITS, MIN_BITS
from ProQHA.cost_model import FLOAT_BITS, CostModel
from ProQHA.quant import ACTIVATIONS, WEIGHTS

_ROUNDING = 1e-12  # error of costs
_LEAST_SAVING = 1e-12


@dataclass(frozen=True)
class Targets:
    """Costs at which a search ends; None where nothing is demanded.

    Attributes:
        storage: weight storage relative to float, see :meth:`CostModel.storage`; 4 bits are 0.125.
        compute: bit operations relative to float, see :meth:`CostModel.compute`; 4 x 4 bits are 0.015625.
        floor: least bits of a quantizer, 2 to 8.
        weight_floor: least bits of weights, where they keep more than inputs; None: the floor.

    Raises:
        ConfigError: a target below what the floors allow, or one that asks for nothing, or a floor of weights that is
            the lower one.
    """

    storage: float | None = None
    compute: float | None = None
    floor: int = MIN_BITS
    weight_floor: int | None = None

    def __post_init__(self):
        weights, inputs = (int(floor) for floor in self.floors)
        if weights < inputs:
            raise ConfigError(f"weight_floor: expected at least the --floor of {inputs} bits, found {weights}")
        ranges = {
            "cost": (self.storage, weights / FLOAT_BITS, MAX_BITS / FLOAT_BITS),
            "compute_cost": (self.compute, weights * inputs / FLOAT_BITS**2, (MAX_BITS / FLOAT_BITS) ** 2),
        }
        for name, (value, low, high) in ranges.items():
            if value is not None and not low <= value < high:
                floor = _words(weights, inputs)
                raise ConfigError(
                    f"{name}: expected {low:g} (all at the floor of {floor} bits) up to below {high:g} (all at "
                    f"{MAX_BITS}), found {value:g}"
                )

    @property
    def floors(self) -> np.ndarray:
        """Least bits of weights and of inputs, (2,)."""
        return np.array([self.floor if self.weight_floor is None else self.weight_floor, self.floor])

    def open(self, sizes: CostModel, bits: np.ndarray) -> np.ndarray:
        """Whether weights and whether activations may still lose bits, (..., 2) bool, at bits (..., L, 2).

        Weights that are still to reach their target will take bit operations with them, in proportion to their
        storage: activations are left alone where that will do, else they would end lower than they need.
        """
        storage, compute = sizes.storage(bits), sizes.compute(bits)
        heavy = self.storage is not None and storage > self.storage + _ROUNDING
        costly = self.compute is not None and compute > self.compute + _ROUNDING
        unmet = np.logical_or(heavy, costly) | ((self.storage, self.compute) == (None, None))
        weights = heavy if self.storage is not None else True
        activations = compute * self._ahead(storage) > self.compute + _ROUNDING if self.compute is not None else True
        return np.stack([unmet & weights, unmet & activations], -1)

    def _ahead(self, storage: np.ndarray) -> np.ndarray:
        """Share of the bit operations that is left when the weights are at their target."""
        return np.minimum(1.0, self.storage / storage) if self.storage is not None else np.ones_like(storage)

    def met(self, sizes: CostModel, bits: np.ndarray) -> bool:
        """Whether bits (L, 2) have no more than the demanded costs."""
        pairs = ((sizes.storage, self.storage), (sizes.compute, self.compute))
        return all(target is None or cost(bits) <= target + _ROUNDING for cost, target in pairs)

    def lowerable(self, sizes: CostModel, bits: np.ndarray) -> np.ndarray:
        """The quantizers that may lose bits, (..., L, 2) bool, at bits (..., L, 2)."""
        return (bits > self.floors) & self.open(sizes, bits)[..., None, :]

    def excess(self, sizes: CostModel, bits: np.ndarray) -> np.ndarray:
        """Excess of weight storage, and of the operations that the weights will leave, over their targets, (..., 2).

        Minus infinity where there is no target.
        """
        storage, compute = sizes.storage(bits), sizes.compute(bits)
        none = np.full(np.shape(storage), -np.inf)
        heavy = none if self.storage is None else storage - self.storage
        costly = none if self.compute is None else compute * self._ahead(storage) - self.compute
        return np.stack([heavy, costly], -1)

    def may_return(self, sizes: CostModel, bits: np.ndarray, returned: np.ndarray, column: int) -> np.ndarray:
        """Whether weights or activations may take back what they lost, (...): if all targets that are met stay so.

        Args:
            sizes: cost model of the layers.
            bits: bits without what would be taken back, (..., L, 2).
            returned: bits with it, (..., L, 2).
            column: ``WEIGHTS`` or ``ACTIVATIONS``.
        """
        works_for = 0 if column == WEIGHTS and self.storage is not None else 1
        if (self.storage, self.compute)[works_for] is None:
            return np.zeros(bits.shape[:-2], bool)
        before, after = self.excess(sizes, bits) <= _ROUNDING, self.excess(sizes, returned) <= _ROUNDING
        return before[..., works_for] & (after | ~before).all(-1)


def _words(weights: int, inputs: int) -> str:
    return str(inputs) if weights == inputs else f"{weights} and {inputs}"


@dataclass(frozen=True)
class Moves:
    """Size of one step: how many quantizers are lowered, and by how much.

    Attributes:
        ratio: share of the quantizers that can be lowered, above 0 to 1; their number is rounded up.
        interval: number of bits that each loses, down to the floor.
    """

    ratio: float = 0.5
    interval: int = 1

    def lowered(self, bits: np.ndarray, floors: np.ndarray) -> np.ndarray:
        """Bits (L, 2) of every quantizer if it alone were lowered, not below the floors (2,)."""
        return np.maximum(bits - self.interval, np.minimum(bits, floors))


def apply(orders: np.ndarray, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves) -> np.ndarray:
    """Bits (K, L, 2) after lowering quantizers one after the other until the targets are met.

    The move that meets a target may take more than that needs: then, the last ones first, moves are taken back as long
    as it stays met.

    Args:
        orders: numbers of quantizers in the flattened (L, 2), (K, m); K candidates at once.
        sizes: cost model of the layers.
        bits: bits before, (L, 2).
        targets: costs at which the search ends.
        moves: size of the step.
    """
    after = np.repeat(bits[None], len(orders), 0)
    lowered, candidate = moves.lowered(bits, targets.floors), np.arange(len(orders))
    places = [(candidate, *np.divmod(index, 2)) for index in orders.T]
    for place in places:
        able = targets.lowerable(sizes, after)[place]
        after[place] = np.where(able, lowered[place[1:]], after[place])
    for place in reversed(places):
        returned = after.copy()
        returned[place] = bits[place[1:]]
        may = [targets.may_return(sizes, after, returned, column) for column in (WEIGHTS, ACTIVATIONS)]
        after = np.where(np.choose(place[2], may)[:, None, None], returned, after)
    return after


def draw(
    rng: np.random.Generator, count: int, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves
) -> np.ndarray:
    """``count`` random candidates (K, L, 2); each picks among the quantizers that can be lowered."""
    able = np.flatnonzero(targets.lowerable(sizes, bits))
    chosen = int(np.ceil(moves.ratio * len(able)))
    orders = rng.permuted(np.tile(able, (count, 1)), axis=1)
    return apply(orders[:, :chosen], sizes, bits, targets, moves)


def exact(scores: np.ndarray, sizes: CostModel, bits: np.ndarray, targets: Targets, moves: Moves) -> np.ndarray:
    """The candidate (L, 2) of the quantizers with the least score for what they save, for scores that add up.

    Args:
        scores: score of lowering each quantizer alone, (L, 2).
        sizes: cost model of the layers.
        bits: bits before, (L, 2).
        targets: costs at which the search ends.
        moves: size of the step.
    """
    able = np.flatnonzero(targets.lowerable(sizes, bits))
    each = np.eye(bits.size, dtype=bool).reshape(-1, *bits.shape)
    alone = np.where(each, moves.lowered(bits, targets.floors), bits)  # (2 L, L, 2): each quantizer by itself
    worth = scores.ravel() / np.maximum(saving(sizes, targets, bits, alone), _LEAST_SAVING)
    order = able[np.argsort(worth[able], kind="stable")]
    return apply(order[None, : int(np.ceil(moves.ratio * len(able)))], sizes, bits, targets, moves)[0]


def saving(sizes: CostModel, targets: Targets, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Saving of bits (..., L, 2): the shares of weight storage and of bit operations that go, added.

    Only what is demanded counts, down to the targets: else, once activations are to stay, a layer of few weights and
    many operations would lose its bits for operations that nobody asked for.
    """
    costs = np.array([sizes.storage(before), sizes.compute(before)])
    lost = costs - np.stack([sizes.storage(after), sizes.compute(after)], -1)
    excess = targets.excess(sizes, before)
    return (np.minimum(lost, np.where(np.isinf(excess), np.inf, np.maximum(excess, 0))) / costs).sum(-1)


def least(scores: np.ndarray, savings: np.ndarray) -> int:
    """The candidate with the least score for what it saves; the first of equals."""
    return int(np.argmin(scores / np.maximum(savings, _LEAST_SAVING)))
