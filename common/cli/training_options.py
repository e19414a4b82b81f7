"""The options of scripts that train from a file of defaults, and the recipe that they make."""

from argparse import BooleanOptionalAction, Namespace, _ActionsContainer
from collections.abc import Sequence

from common.cli import config
from common.training.schedules import KINDS, Schedule
from common.training.step import Recipe


def add_run(parser: config.OptionParser, name: str) -> None:
    """Name of the run's folder, what it starts from, and whether it goes on; the earlier codes' names.

    Args:
        parser: of the script.
        name: of the run if none is given.
    """
    parser.add_argument(
        "--expr_name", type=config.run_name, default=name, metavar="NAME", help="of the run's folder in output_dir"
    )
    parser.add_argument("--pretrained", type=config.checkpoint, metavar="FILE|NAME", help="float network to start from")
    parser.add_argument("--resume", type=config.checkpoint, metavar="FILE|NAME", help="quantized network to start from")
    again = "go on with a run of this name that was stopped; --no-continue starts it anew"
    parser.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=again)


def add_test_every(group: _ActionsContainer) -> None:
    """How often a training is tested."""
    every = "epochs between tests; the last one is tested"
    group.add_argument("--test_every", type=config.positive_int, default=1, metavar="N", help=every)


def add_training(
    parser: config.OptionParser, epochs: int, schedule: str, milestones: Sequence[int], warmup_epochs: float
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
    group.add_argument("--epochs", type=config.positive_int, default=epochs, help="passes over the training images")
    add_test_every(group)
    group.add_argument("--lr", type=config.positive_float, default=0.1, help="first learning rate")
    group.add_argument("--schedule", choices=list(KINDS), default=schedule, help="of the learning rate")
    group.add_argument(
        "--milestones", type=config.positive_int, nargs="*", default=list(milestones), help="epochs, of multistep"
    )
    group.add_argument("--step_epochs", type=config.positive_int, default=30, help="epochs of one rate in step")
    group.add_argument(
        "--warmup_epochs", type=config.nonnegative_float, default=warmup_epochs, help="epochs of warm-up"
    )
    group.add_argument("--momentum", type=config.share, default=0.9, help="of SGD")
    group.add_argument("--weight_decay", type=config.nonnegative_float, default=1e-4, help="L2 penalty")
    group.add_argument("--clip_norm", type=config.positive_float, help="limit of the gradient's norm")
    group.add_argument("--label_smoothing", type=config.share, default=0.0, help="share of the target over all classes")


def recipe_of(args: Namespace) -> Recipe:
    """How the options of :func:`add_training` say to train."""
    times = {"milestones": tuple(args.milestones), "step_epochs": args.step_epochs}
    schedule = Schedule(args.schedule, args.lr, **times, warmup_epochs=args.warmup_epochs)
    rest = {"clip_norm": args.clip_norm, "label_smoothing": args.label_smoothing, "seed": args.seed}
    return Recipe(args.epochs, args.batch_size, schedule, "sgd", args.momentum, args.weight_decay, **rest)
