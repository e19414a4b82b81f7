"""Options that training and search share, and what they mean."""

from argparse import Namespace

from common.cli import typed
from common.cli.option_parser import OptionParser
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.runtime import context

_CALIBRATION_BATCH = 128
BITS = typed.int_range(MIN_BITS, MAX_BITS)


def add_common(parser: OptionParser) -> None:
    """The options of ``train.py`` and ``search.py`` alike."""
    parser.add_alias("--train_batch_size", "--batch_size")
    parser.add_argument(
        "--mission",
        type=typed.run_name,
        default="proqha",
        metavar="NAME",
        help="name of the run's folder in output_dir",
    )
    parser.add_alias("--gpus", "--device_id")
    group = parser.add_argument_group("training")
    group.add_argument("--lr", type=typed.positive_float, default=1e-3, help="first learning rate")
    group.add_argument("--weight_decay", type=typed.nonnegative_float, default=1e-4, help="L2 penalty")
    group.add_argument("--clip", action="store_true", help="limit the gradient's norm to 5")
    group = parser.add_argument_group("quantization")
    group.add_argument("--alpha", type=clip_value, default=None, metavar="A|calibrate", help=_ALPHA_HELP)


_ALPHA_HELP = "first clip of PACT: a number (the paper's is 10), or of least squared error on training images"


def clip_value(text: str) -> float | None:
    """Type of ``--alpha``: a number over 0, or None for ``calibrate``."""
    found = typed.positive_float_or("calibrate")(text)
    return None if isinstance(found, str) else found


def set_up(args: Namespace) -> None:
    """Choose device, mode, seed and threads."""
    context.setup(args.device_target, args.mode, args.seed, args.threads, args.device_id)


def clip_norm(args: Namespace) -> float | None:
    """Limit of the gradient's norm."""
    return 5.0 if args.clip else None
