"""The options of a training that learns from a float network's logits too, and the task that they make."""

from argparse import Namespace, _ActionsContainer
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindspore import nn

from common.checkpoint import network_state
from common.cli.checkpoint_names import resolved
from common.cli.typed import checkpoint, fraction, positive_float
from common.errors import ConfigError
from common.stored.float_network import float_of_classes
from common.training import CrossEntropy, Distillation, DistillationWeights, TrainConfig

_DEFAULTS = DistillationWeights()


@dataclass(frozen=True)
class DistillationOptions:
    """The float network that is learned from.

    Attributes:
        file: of its weights.
        arch: its architecture.
        weights: share and temperature.
    """

    file: Path
    arch: str
    weights: DistillationWeights


def add_distillation(group: _ActionsContainer) -> None:
    """Add ``--distill`` and its settings."""
    group.add_argument("--distill", type=checkpoint, metavar="FILE|NAME", help="float network whose logits are learned")
    share = f"share of these logits in the loss, 1: labels are not read; default: {_DEFAULTS.weight:g}"
    group.add_argument("--distill_weight", type=fraction, metavar="SHARE", help=share)
    softening = f"temperature of both distributions; default: {_DEFAULTS.temperature:g}"
    group.add_argument("--distill_temperature", type=positive_float, metavar="T", help=softening)


def distillation_of(args: Namespace, arch: str) -> DistillationOptions | None:
    """What the options of :func:`add_distillation` say, for a network of an architecture.

    Raises:
        ConfigError: settings without a network, or one of a registered name that cannot be fetched.
    """
    settings = {"weight": args.distill_weight, "temperature": args.distill_temperature}
    given = {name: value for name, value in settings.items() if value is not None}
    if args.distill is None:
        if given:
            raise ConfigError(f"distill_{next(iter(given))}: it goes with --distill FILE, found none; leave it out")
        return None
    return DistillationOptions(resolved(args.distill), arch, DistillationWeights(**given))


def task_of(options: DistillationOptions | None, config: TrainConfig, classes: int) -> tuple[nn.Cell, dict[str, Any]]:
    """The task of a training and what its run records of it: nothing for labels alone.

    Raises:
        CheckpointError: the float network's file is damaged, or of other classes.
    """
    if options is None:
        return CrossEntropy(config.label_smoothing), {}
    teacher = float_of_classes(options.file, options.arch, classes)
    record = {"teacher": network_state.digest(teacher), **asdict(options.weights)}
    return Distillation(teacher, options.weights, config.label_smoothing), {"distillation": record}
