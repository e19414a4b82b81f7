r"""Loss-aware allocation of bits: the groups whose quantization changes the loss least lose bits first.

The sensitivity of a group g (a channel, or a layer's channels together) of weights or activations is the first-order
Taylor term of the loss, absolute value per batch, summed over the batches since the last allocation:

    E_g = sum_batches | sum_{v in g} (v - v_q) dL/dv_q | / N_g,     N_g = number of values in g

Averages are weighted by what a group costs: its number of weights, or its number of activations of one image. Weights
and activations are allocated apart, each as :mod:`DAMBQ.budget` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.kernels.magnitudes import AddMagnitudes
from common.quant.calibration import evaluating
from common.runtime.hooks import input_hooks
from common.training import Callback
from DAMBQ.budget import Budget, above, average, lower, lower_to
from DAMBQ.convert import multi_bit_layers
from DAMBQ.quant import PerChannelQuantizer


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
        self.add = AddMagnitudes([member.quantizer.sensitivity for member in members], granularity != "channel")

    def construct(self, gradients):
        self.add(gradients)
        return gradients


class Allocator(Sensitivities):
    """Lowers bits of a network in training after each epoch until the budget is met.

    Args:
        network: quantized network.
        budget: targets and pace.
        image_size: side of the network's images, which decides what activations cost.
        epochs: number of epochs of the training.

    Raises:
        ConfigError: a network without multi-bit layers, one whose bits differ where the granularity has them equal, or
            a target that the shares of these epochs cannot reach.
    """

    def __init__(self, network: nn.Cell, budget: Budget, image_size: int, epochs: int):
        layers = multi_bit_layers(network)
        if not layers:
            raise ConfigError("expected a network with a layer between the first and the last, found none")
        kinds = _members(network, image_size)
        super().__init__([*kinds["weights"], *kinds["activations"]], budget.granularity)
        self.layers, self.budget, self.epochs = layers, budget, epochs
        self.kinds = {kind: (members, getattr(budget, kind)) for kind, members in kinds.items()}
        for kind, (members, target) in self.kinds.items():
            self._check_equal(members)
            self._check_reach(kind, members, target)

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

    def _check_reach(self, kind: str, members: Sequence[_Member], target: float) -> None:
        """Refuse a target that the schedule is too slow or too short for."""
        bits, _, cost = self._groups(members)
        reach, now = self.budget.pace(0, self.epochs, len(bits)), average(bits, cost)
        if above(bits, cost, target + reach + 1e-9):
            option = {"weights": "wgt_target", "activations": "act_target"}[kind]
            raise ConfigError(
                f"{option}: expected at least {now - reach:.3f}, for from {now:.3f} bits the shares of {self.epochs} "
                f"epochs take away {reach:.3f}, found {target:g}; raise it, --shares or --epochs, or let --duration "
                "end earlier"
            )

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Allocate once and start a new sum; returns the averages and the bits of each layer."""
        for members, target in self.kinds.values():
            self._allocate(members, target, epoch)
        for sums in self.add.sums:
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
        groups = ((*self._groups(members), target) for members, target in self.kinds.values())
        return not any(above(bits, cost, target) for bits, _, cost, target in groups)

    def _allocate(self, members: Sequence[_Member], target: float, epoch: int) -> None:
        bits, _, cost = groups = self._groups(members)
        lowered = lower(*groups, target, self.budget.share(epoch))
        latest = target + self.budget.pace(epoch + 1, self.epochs, len(bits))  # from where the rest can still reach it
        if above(lowered, cost, latest):
            lowered = lower_to(*groups, latest)
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
