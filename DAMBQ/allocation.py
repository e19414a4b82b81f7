r"""Loss-aware allocation of bits: the groups whose quantization changes the loss least lose bits first.

The sensitivity of a group g (a channel, or a layer's channels together) of weights or activations is the first-order
Taylor term of the loss, absolute value per batch, summed over the batches since the last allocation:

    E_g = sum_batches | sum_{v in g} (v - v_q) dL/dv_q | / N_g,     N_g = number of values in g

An allocation takes away one bit from each of the ``share`` of the groups with the lowest E, among those that still
have bits, until the average is at or below the target. Averages are weighted by what a group costs: its number of
weights, or its number of activations of one image. Weights and activations are allocated apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

from common.errors import ConfigError
from common.quant.calibration import evaluating
from common.runtime.hooks import input_hooks
from common.training import Callback
from DAMBQ.convert import multi_bit_layers
from DAMBQ.quant import PerChannelQuantizer
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


def average(bits: np.ndarray, cost: np.ndarray) -> float:
    """Mean of ``bits`` (G,) weighted by ``cost`` (G,)."""
    return float(np.dot(bits, cost) / cost.sum())


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
    for group in candidates[: int(np.ceil(round(share * len(bits), 9)))]:
        if spent <= target * total:
            break
        lowered[group] -= 1
        spent -= cost[group]
    return lowered


@dataclass(eq=False)
class _Member:
    """One quantizer, the values in one of its channels (which are its cost too), and its layer."""

    quantizer: PerChannelQuantizer
    cost: int
    layer: str


def _members(network: nn.Cell, image_size: int) -> dict[str, list[_Member]]:
    """The quantizers of weights and of activations."""
    layers, values = multi_bit_layers(network), input_values(network, image_size)
    return {
        "weights": [_Member(cell.quantize_weight, cell.weight[0].size, name) for name, cell in layers.items()],
        "activations": [_Member(cell.quantize_input, values[name], name) for name, cell in layers.items()],
    }


def _costs(members: Sequence[_Member]) -> np.ndarray:
    return np.concatenate([np.full(len(member.quantizer.bits), member.cost, float) for member in members])


def average_bits(network: nn.Cell, image_size: int) -> dict[str, float]:
    """Average bits of ``weights`` and ``activations`` of the multi-bit layers, weighted by the number of values."""
    return {
        kind: average(np.concatenate([member.quantizer.bits.asnumpy() for member in members]), _costs(members))
        for kind, members in _members(network, image_size).items()
    }


class Sensitivities(Callback):
    """Adds up |sum (v - v_q) dL/dv_q| of every channel, or layer, in each training step."""

    def __init__(self, members: Sequence[_Member], granularity: str):
        super().__init__([member.quantizer.probe for member in members])
        self.sums = ParameterTuple([member.quantizer.sensitivity for member in members])
        self.together = granularity != "channel"

    def construct(self, gradients):
        for i in range(len(self.sums)):
            change = gradients[i]
            if self.together:
                change = change.sum() + 0.0 * change
            ops.assign_add(self.sums[i], ops.abs(change))
        return gradients


class Allocator(Sensitivities):
    """Lowers bits of a network in training after each epoch until the budget is met.

    Args:
        network: quantized network.
        budget: targets and pace.
        image_size: side of the network's images, which decides what activations cost.

    Raises:
        ConfigError: a network without multi-bit layers, or one whose bits differ where the granularity has them equal.
    """

    def __init__(self, network: nn.Cell, budget: Budget, image_size: int):
        layers = multi_bit_layers(network)
        if not layers:
            raise ConfigError("expected a network with a layer between the first and the last, found none")
        kinds = _members(network, image_size)
        super().__init__([*kinds["weights"], *kinds["activations"]], budget.granularity)
        self.layers, self.budget = layers, budget
        self.kinds = {kind: (members, getattr(budget, kind)) for kind, members in kinds.items()}
        for members, _ in self.kinds.values():
            self._check_equal(members)

    def _check_equal(self, members: Sequence[_Member]) -> None:
        """Make sure that the channels whose bits stay in common have them in common from the beginning."""
        together = [member.quantizer.bits.asnumpy() for member in members]
        if self.budget.granularity == "network":
            together = [np.concatenate(together)]
        if self.budget.granularity != "channel" and any(len(np.unique(bits)) > 1 for bits in together):
            raise ConfigError(
                f"granularity {self.budget.granularity}: expected a network with the same bits in each, found channels "
                "of different bits; start from another network, or take granularity channel"
            )

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Allocate once and start a new sum; returns the averages and the bits of each layer."""
        for members, target in self.kinds.values():
            self._allocate(members, target, self.budget.share(epoch))
        for sums in self.sums:
            sums.set_data(Tensor(np.zeros(sums.shape, np.float32)))
        return self.report()

    def report(self) -> dict[str, Any]:
        """Average bits of weights and of activations, over the network and of each layer."""
        record: dict[str, Any] = {}
        for kind, (members, _) in self.kinds.items():
            bits = [member.quantizer.bits.asnumpy() for member in members]
            record[f"{kind}_bits"] = average(np.concatenate(bits), _costs(members))
            record[f"{kind}_bits_of_layers"] = {m.layer: round(float(b.mean()), 4) for m, b in zip(members, bits)}
        return record

    def finished(self) -> bool:
        """Whether both averages are at or below their targets."""
        report = self.report()
        return all(report[f"{kind}_bits"] <= target for kind, (_, target) in self.kinds.items())

    def _allocate(self, members: Sequence[_Member], target: float, share: float) -> None:
        bits, sensitivity, cost = self._groups(members)
        lowered = lower(bits, sensitivity, cost, target, share) if share else bits
        counts = [len(member.quantizer.bits) for member in members]
        if self.budget.granularity == "channel":
            parts = np.split(lowered, np.cumsum(counts)[:-1])
        else:
            each = np.broadcast_to(lowered, len(members))
            parts = [np.full(count, channel_bits) for count, channel_bits in zip(counts, each)]
        for member, channel_bits in zip(members, parts):
            self._assign(member, channel_bits)

    def _groups(self, members: Sequence[_Member]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bits, sensitivity and cost of all groups: channels, or layers, or one of everything."""
        bits = [member.quantizer.bits.asnumpy() for member in members]
        sums = [member.quantizer.sensitivity.asnumpy().astype(float) for member in members]
        costs = [np.full(len(channels), member.cost, float) for channels, member in zip(bits, members)]
        if self.budget.granularity != "channel":  # all channels of a layer have the same bits and the same sum
            bits, sums = [channels[:1] for channels in bits], [channels[:1] for channels in sums]
            costs = [channels.sum(keepdims=True) for channels in costs]
        all_bits, all_sums, cost = (np.concatenate(part) for part in (bits, sums, costs))
        if self.budget.granularity == "network":
            return all_bits[:1], all_sums[:1], cost.sum(keepdims=True)
        return all_bits, all_sums / cost, cost

    def _assign(self, member: _Member, bits: np.ndarray) -> None:
        quantizer, before = member.quantizer, member.quantizer.bits.asnumpy()
        changed = np.flatnonzero(bits != before)
        if not len(changed):
            return
        quantizer.bits.set_data(Tensor(np.ascontiguousarray(bits, np.int32)))
        if hasattr(quantizer, "reset_scale"):
            quantizer.reset_scale(self.layers[member.layer].weight.asnumpy(), changed)


def input_values(network: nn.Cell, image_size: int) -> dict[str, int]:
    """Number of activations in one input channel of each multi-bit layer, for one image."""
    layers, counts = multi_bit_layers(network), {}

    def take(name: str, x: np.ndarray) -> None:
        counts[name] = int(np.prod(x.shape[1:])) // len(layers[name].quantize_input.bits)

    with evaluating(network), input_hooks(layers, take):
        network(Tensor(np.zeros((1, 3, image_size, image_size), np.float32)))
    return counts
