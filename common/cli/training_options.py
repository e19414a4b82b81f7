"""The options that scripts which train share, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace, _ActionsContainer
from collections.abc import Sequence

from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.typed import (
    checkpoint,
    int_range,
    nonnegative_float,
    positive_float,
    positive_int,
    run_name,
    share,
)
from common.errors import ConfigError
from common.training import Schedule, TrainConfig
from common.training.schedules import KINDS


def add_run_name(group: _ActionsContainer, name: str) -> None:
    """``--run_name``; ``name`` if none is given."""
    place = "of the run's folder in output_dir, and of the network that it leaves there"
    group.add_argument("--run_name", type=run_name, default=name, metavar="NAME", help=place)


def add_pretrained(group: _ActionsContainer, text: str = "float network to start from") -> None:
    """``--pretrained``: a float network."""
    group.add_argument("--pretrained", type=checkpoint, metavar="FILE|NAME", help=text)


def add_init_from(group: _ActionsContainer, text: str = "quantized network to train further (best.ckpt)") -> None:
    """``--init_from``: a network with latent weights."""
    group.add_argument("--init_from", type=checkpoint, metavar="FILE|NAME", help=text)


def add_continue(
    group: _ActionsContainer, text: str = "go on with this run if it was stopped; --no-continue starts it anew"
) -> None:
    """``--continue`` and ``--no-continue``."""
    group.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=text)


def add_run(parser: OptionParser, name: str) -> None:
    """Name of the run, what it starts from, and whether it goes on.

    Args:
        parser: of the script.
        name: of the run if none is given.
    """
    group = parser.add_argument_group("run")
    add_run_name(group, name)
    add_pretrained(group)
    add_init_from(group)
    add_continue(group)


def check_one_start(args: Namespace) -> None:
    """Refuse both starts at once.

    Raises:
        ConfigError: ``--pretrained`` and ``--init_from`` are both given.
    """
    if args.pretrained and args.init_from:
        raise ConfigError("expected one start, found both --pretrained and --init_from; give one of them")


def add_test_every(group: _ActionsContainer) -> None:
    """How often a training is tested."""
    every = "epochs between tests; the last one is tested"
    group.add_argument("--test_every", type=positive_int, default=1, metavar="N", help=every)


def add_epochs(group: _ActionsContainer, epochs: int) -> None:
    """``--epochs``; ``epochs`` if none are given."""
    passes = "passes over the training images; 0 trains nothing: what is calibrated is tested and written"
    group.add_argument("--epochs", type=int_range(0), default=epochs, help=passes)


def add_sgd(group: _ActionsContainer, epochs: int, weight_decay: float, rate: str = "first learning rate") -> None:
    """Length, first learning rate, momentum and weight decay.

    Args:
        group: of the script's options.
        epochs: by default.
        weight_decay: by default.
        rate: what the learning rate is, for ``--help``.
    """
    add_epochs(group, epochs)
    add_test_every(group)
    group.add_argument("--lr", type=positive_float, default=0.1, help=rate)
    group.add_argument("--momentum", type=share, default=0.9, help="of SGD")
    group.add_argument("--weight_decay", type=nonnegative_float, default=weight_decay, help="L2 penalty")


def add_training(
    parser: OptionParser, epochs: int, schedule: str, milestones: Sequence[int], warmup_epochs: float
) -> None:
    """Length, learning rates and SGD.

    Args:
        parser: of the script.
        epochs: by default, as all that follows.
        schedule: of :data:`common.training.schedules.KINDS`.
        milestones: epochs at which multistep divides the rate by 10.
        warmup_epochs: of linear warm-up.
    """
    group = parser.add_argument_group("training")
    add_sgd(group, epochs, weight_decay=1e-4)
    group.add_argument("--schedule", choices=list(KINDS), default=schedule, help="of the learning rate")
    times = list(milestones)
    group.add_argument("--milestones", type=positive_int, nargs="*", default=times, help="epochs, of multistep")
    group.add_argument("--step_epochs", type=positive_int, default=30, help="epochs of one rate in step")
    group.add_argument("--warmup_epochs", type=nonnegative_float, default=warmup_epochs, help="epochs of warm-up")
    group.add_argument("--grad_clip_norm", type=positive_float, help="limit of the gradient's norm")
    group.add_argument("--label_smoothing", type=share, default=0.0, help="share of the target over all classes")


def train_config(args: Namespace) -> TrainConfig:
    """How the options of :func:`add_training` say to train."""
    times = {"milestones": tuple(args.milestones), "step_epochs": args.step_epochs}
    return TrainConfig(
        epochs=args.epochs,
        batch_size=args.batch_size,
        schedule=Schedule(args.schedule, args.lr, **times, warmup_epochs=args.warmup_epochs),
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        grad_clip_norm=args.grad_clip_norm,
        label_smoothing=args.label_smoothing,
        seed=args.seed,
    )


def cosine_config(args: Namespace) -> TrainConfig:
    """How the options of :func:`add_sgd` say to train: cosine to 0, without warm-up."""
    schedule = Schedule("cosine", args.lr)
    rest = {"momentum": args.momentum, "weight_decay": args.weight_decay, "seed": args.seed}
    return TrainConfig(args.epochs, args.batch_size, schedule, **rest)


def training_options(args: Namespace) -> TrainingOptions:
    """The run that the options of :func:`add_run` and :func:`add_training` describe."""
    folder = args.output_dir / args.run_name
    return TrainingOptions(train_config(args), folder, args.run_name, args.go_on, args.test_every)
