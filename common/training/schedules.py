"""Learning rates over the steps of a training."""

import math
from dataclasses import dataclass

import numpy as np

from common.errors import ConfigError

KINDS = ("cosine", "step", "multistep", "constant")


@dataclass(frozen=True)
class Schedule:
    r"""Learning rate of step t in a training of T steps, e steps per epoch.

    ``cosine``: :math:`\tfrac12 \eta (1 + \cos(\pi t / T))`; ``step``: :math:`\eta \gamma^k` after k times
    ``step_epochs``; ``multistep``: the same after k of the milestones; ``constant``: :math:`\eta`. During
    warm-up the rate rises linearly to that of its step.

    Attributes:
        kind: name of the schedule, one of ``KINDS``.
        base: base rate eta.
        milestones: epochs at which ``multistep`` multiplies by gamma.
        gamma: factor of ``step`` and ``multistep``.
        warmup_epochs: length of the warm-up in epochs.
        step_epochs: number of epochs of one rate in ``step``.
    """

    kind: str = "cosine"
    base: float = 0.1
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: float = 0
    step_epochs: int = 30

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"schedule: expected one of {', '.join(KINDS)}, found {self.kind!r}")

    def rates(self, epochs: int, steps_per_epoch: int) -> np.ndarray:
        """The rates of all steps, float32 (epochs * steps_per_epoch,)."""
        steps = np.arange(epochs * steps_per_epoch)
        if self.kind == "cosine":
            rates = 0.5 * self.base * (1 + np.cos(math.pi * steps / len(steps)))
        elif self.kind == "step":
            rates = self.base * self.gamma ** (steps // (self.step_epochs * steps_per_epoch))
        elif self.kind == "multistep":
            passed = np.searchsorted(np.sort(self.milestones), steps / steps_per_epoch, side="right")
            rates = self.base * self.gamma**passed
        else:
            rates = np.full(len(steps), self.base)
        warmup = self.warmup_epochs * steps_per_epoch
        return (rates * np.minimum(1, (steps + 1) / max(warmup, 1))).astype(np.float32)
