r"""Bits of each layer within a budget, by what each layer's bits cost.

Each layer l takes bits of its weights and of its inputs, and costs what its two quantizers cost alone:

.. math:: \min \sum_l \Delta_l(w_l) + \Delta'_l(a_l), \qquad \sum_l c_l(w_l, a_l) \le B

with :math:`c = w_l n_l / 8` bytes, or :math:`c = w_l a_l m_l` bit operations. Lagrange's multiplier is halved in until
the budget is met; what is left goes to the layer that gains most by it. That losses add up is an approximation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError
from common.evaluation.sensitivity import KINDS, Sensitivity

BUDGETS = ("bytes", "bitops")
_HALVINGS = 100
Choice = tuple[int, int]


@dataclass(frozen=True, eq=False)
class BitPlan:
    """Bits within a budget.

    Attributes:
        bits: of weights and inputs of each layer.
        spent: bytes of the layers' weights, or bit operations of an image.
        rise: sum of the rises of the loss that the layers' quantizers cause alone.
    """

    bits: Mapping[str, Choice]
    spent: float
    rise: float


def plan_bits(found: Sensitivity, budget: str, limit: float, left_out: tuple[str, ...] = ()) -> BitPlan:
    """The bits of each layer.

    Args:
        found: what each layer's bits cost.
        budget: ``bytes`` of the weights of these layers, or ``bitops``, bit operations of an image.
        limit: B.
        left_out: names of layers that stay float and are not counted.

    Raises:
        ConfigError: not even the fewest bits meet the budget.
    """
    rises = _rises(found)
    layers = [name for name in found.layers if name not in left_out]
    options = {name: _options(name, rises, found.layers[name], budget) for name in layers}
    least = sum(min(cost for _, cost, _ in choices) for choices in options.values())
    if least > limit:
        raise ConfigError(
            f"budget: expected at least {least:,.0f} {budget}, the fewest bits everywhere, found {limit:,.0f}"
        )
    low, high = 0.0, 1.0
    while _total(_best(options, high), options) > limit:
        high *= 2
    if _total(_best(options, low), options) > limit:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if _total(_best(options, middle), options) > limit else (low, middle)
        chosen = _best(options, high)
    else:
        chosen = _best(options, low)
    _spend(chosen, options, limit)
    bits = {name: options[name][index][0] for name, index in chosen.items()}
    rise = sum(options[name][index][2] for name, index in chosen.items())
    return BitPlan(bits, _total(chosen, options), rise)


def _rises(found: Sensitivity) -> dict[tuple[str, str], dict[int, float]]:
    """The rise of each quantizer by its bits, at least 0 and never less for fewer bits: measurements scatter."""
    rises: dict[tuple[str, str], dict[int, float]] = {}
    for entry in found.entries:
        rises.setdefault((entry.layer, entry.kind), {})[entry.bits] = max(entry.rise, 0.0)
    for of_bits in rises.values():
        most = 0.0
        for bits in sorted(of_bits, reverse=True):
            most = of_bits[bits] = max(most, of_bits[bits])
    return rises


def _options(
    name: str, rises: Mapping[tuple[str, str], Mapping[int, float]], sizes: tuple[int, int], budget: str
) -> list[tuple[Choice, float, float]]:
    """Each choice of a layer: bits, cost, rise."""
    weights, inputs = (rises[name, kind] for kind in KINDS)
    count, macs = sizes
    options = []
    for w, w_rise in weights.items():
        for a, a_rise in inputs.items():
            cost = w * count / 8 if budget == "bytes" else w * a * macs
            options.append(((w, a), float(cost), w_rise + a_rise))
    return options


def _best(options: Mapping[str, list], price: float) -> dict[str, int]:
    """The choice of each layer at a price of the budget; among equal ones the cheaper, then more bits."""
    best = {}
    for name, choices in options.items():
        keys = [(rise + price * cost, cost, -sum(bits)) for bits, cost, rise in choices]
        best[name] = min(range(len(choices)), key=keys.__getitem__)
    return best


def _total(chosen: Mapping[str, int], options: Mapping[str, list]) -> float:
    return sum(options[name][index][1] for name, index in chosen.items())


def _spend(chosen: dict[str, int], options: Mapping[str, list], limit: float) -> None:
    """Spend what is left of the budget, each time where a unit of it lowers the rise most."""
    while True:
        left, best = limit - _total(chosen, options), (0.0, "", 0)
        for name, index in chosen.items():
            _, cost, rise = options[name][index]
            for other, (_, other_cost, other_rise) in enumerate(options[name]):
                if other_cost - cost <= left and other_rise < rise:
                    gain = (rise - other_rise) / max(other_cost - cost, np.finfo(float).tiny)
                    best = max(best, (gain, name, other))
        if not best[0]:
            return
        chosen[best[1]] = best[2]
