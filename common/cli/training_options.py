"""The options that scripts which train share, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace, _ActionsContainer
from collections.abc import Sequence

from common.cli.distillation import add_distillation, distillation_of
from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.typed import (
    checkpoint,
    int_range,
    nonnegative_float,
    path,
    positive_float,
    positive_int,
    run_name,
    share,
)
from common.cli.validation import add_validation, validation_of
from common.errors import ConfigError
from common.training import Schedule, TrainConfig
from common.training.schedules import KINDS


def add_run_name(group: _ActionsContainer, name: str) -> None:
    """Add ``--run_name``; ``name`` is its default."""
    place = "name of the run, of its folder in --output_dir and of the network that it leaves there"
    group.add_argument("--run_name", type=run_name, default=name, metavar="NAME", help=place)


def add_pretrained(group: _ActionsContainer, text: str = "float network to start from") -> None:
    """Add ``--pretrained``, a float network to start from."""
    group.add_argument("--pretrained", type=checkpoint, metavar="FILE|NAME", help=text)


def add_new_head(group: _ActionsContainer) -> None:
    """``--new_head``: for weights of other classes."""
    text = "give the network of --pretrained a new last layer: it may be of any classes"
    group.add_argument("--new_head", action="store_true", help=text)


def check_new_head(args: Namespace) -> None:
    """Refuse a new last layer of a network that is new, or quantized.

    Raises:
        ConfigError: ``--new_head`` without ``--pretrained``.
    """
    if args.new_head and not args.pretrained:
        raise ConfigError("new_head: it goes with the weights of --pretrained FILE, found none; leave it out")


def add_init_from(group: _ActionsContainer, text: str = "quantized network to train further (final.ckpt)") -> None:
    """Add ``--init_from``, a network with latent weights to train further."""
    group.add_argument("--init_from", type=checkpoint, metavar="FILE|NAME", help=text)


def add_continue(
    group: _ActionsContainer, text: str = "go on with this run if it was stopped; --no-continue starts it anew"
) -> None:
    """Add ``--continue`` and ``--no-continue``."""
    group.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=text)


def add_run(parser: OptionParser, name: str) -> None:
    """Add the options of a run: its name, its start, and whether it goes on.

    Args:
        parser: parser of the script.
        name: name of the run if none is given.
    """
    group = parser.add_argument_group("run")
    add_run_name(group, name)
    add_pretrained(group)
    add_new_head(group)
    add_init_from(group)
    add_continue(group)
    add_tensorboard(group)


def check_one_start(args: Namespace) -> None:
    """Refuse both starts at once, and a new last layer of neither.

    Raises:
        ConfigError: ``--pretrained`` and ``--init_from`` are both given, or as :func:`check_new_head`.
    """
    check_new_head(args)
    if args.pretrained and args.init_from:
        raise ConfigError("expected one start, found both --pretrained and --init_from; give one of them")


def add_tensorboard(group: _ActionsContainer) -> None:
    """Add ``--tensorboard``."""
    events = "write the numbers of metrics.jsonl for TensorBoard too, as a file in this folder"
    group.add_argument("--tensorboard", type=path, metavar="DIR", help=events)


def add_epochs(group: _ActionsContainer, epochs: int) -> None:
    """Add ``--epochs``.

    Args:
        group: group that the option is added to.
        epochs: default number of epochs.
    """
    passes = "passes over the training images; 0 trains nothing: what is calibrated is tested and written"
    group.add_argument("--epochs", type=int_range(0), default=epochs, help=passes)


def add_sgd(
    group: _ActionsContainer, epochs: int, weight_decay: float, rate: str = "learning rate of the first SGD step"
) -> None:
    """Add length, validation, first learning rate, momentum and weight decay.

    Args:
        group: group that the options are added to.
        epochs: default number of epochs.
        weight_decay: default weight decay.
        rate: description of the learning rate, for ``--help``.
    """
    add_epochs(group, epochs)
    add_validation(group)
    group.add_argument("--lr", type=positive_float, default=0.1, help=rate)
    group.add_argument("--momentum", type=share, default=0.9, help="momentum of SGD, 0 to 1")
    penalty = "weight of the L2 penalty on all parameters"
    group.add_argument("--weight_decay", type=nonnegative_float, default=weight_decay, help=penalty)


def add_training(
    parser: OptionParser, epochs: int, schedule: str, milestones: Sequence[int], warmup_epochs: float
) -> None:
    """Add length, learning rates and the other settings of SGD.

    Args:
        parser: parser of the script.
        epochs: default number of epochs.
        schedule: default schedule, one of :data:`common.training.schedules.KINDS`.
        milestones: default epochs after which multistep divides the rate by 10.
        warmup_epochs: default epochs of linear warm-up.
    """
    group = parser.add_argument_group("training")
    add_sgd(group, epochs, weight_decay=1e-4)
    group.add_argument("--schedule", choices=list(KINDS), default=schedule, help="schedule of the learning rate")
    times, dividing = list(milestones), "epochs after which multistep divides the learning rate by 10"
    group.add_argument("--milestones", type=positive_int, nargs="*", default=times, metavar="EPOCH", help=dividing)
    lasting = "epochs after which step divides the learning rate by 10, again and again"
    group.add_argument("--step_epochs", type=positive_int, default=30, metavar="N", help=lasting)
    rising = "epochs of linear warm-up of the learning rate"
    group.add_argument("--warmup_epochs", type=nonnegative_float, default=warmup_epochs, metavar="N", help=rising)
    add_distillation(group)
    limit = "limit of the gradient's global L2 norm; none if not given"
    group.add_argument("--grad_clip_norm", type=positive_float, metavar="LIMIT", help=limit)
    smoothing = "share of the target that is spread over all classes, 0 to 1"
    group.add_argument("--label_smoothing", type=share, default=0.0, metavar="SHARE", help=smoothing)


def train_config(args: Namespace) -> TrainConfig:
    """The training configuration that the options of :func:`add_training` describe."""
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
    """The training configuration that the options of :func:`add_sgd` describe: cosine to 0, without warm-up."""
    schedule = Schedule("cosine", args.lr)
    rest = {"momentum": args.momentum, "weight_decay": args.weight_decay, "seed": args.seed}
    return TrainConfig(args.epochs, args.batch_size, schedule, **rest)


def training_options(args: Namespace, arch: str) -> TrainingOptions:
    """The run that the options of :func:`add_run` and :func:`add_training` describe, of a network of the registry."""
    folder = args.output_dir / args.run_name
    about = validation_of(args), args.new_head, distillation_of(args, arch), args.tensorboard
    return TrainingOptions(train_config(args), folder, args.run_name, args.go_on, *about)
