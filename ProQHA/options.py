"""Options that training and search share, and what they mean."""

from argparse import Namespace

import mindspore as ms

from common.cli import config
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.runtime import context

BITS = config.int_range(MIN_BITS, MAX_BITS)


def add_common(parser: config.OptionParser) -> None:
    """The options of ``train.py`` and ``search.py`` alike."""
    parser.add_alias("--train_batch_size", "--batch_size")
    parser.add_argument(
        "--mission",
        type=config.run_name,
        default="proqha",
        metavar="NAME",
        help="name of the run's folder in output_dir",
    )
    parser.add_argument("--gpus", type=config.int_range(0), default=0, metavar="N", help="number of the GPU or NPU")
    group = parser.add_argument_group("training")
    group.add_argument("--lr", type=config.positive_float, default=1e-3, help="first learning rate")
    group.add_argument("--weight_decay", type=config.nonnegative_float, default=1e-4, help="L2 penalty")
    group.add_argument("--clip", action="store_true", help="limit the gradient's norm to 5")
    group = parser.add_argument_group("quantization")
    group.add_argument("--alpha", type=clip_value, default=None, metavar="A|calibrate", help=_ALPHA_HELP)


_ALPHA_HELP = "first clip of PACT: a number (the paper's is 10), or of least squared error on training images"


def clip_value(text: str) -> float | None:
    """Type of ``--alpha``: a number over 0, or None for ``calibrate``."""
    found = config.positive_float_or("calibrate")(text)
    return None if isinstance(found, str) else found


def set_up(args: Namespace) -> None:
    """Choose device, mode, seed and threads."""
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    if args.device_target != "CPU":
        ms.set_device(args.device_target, args.gpus)


def clip_norm(args: Namespace) -> float | None:
    """Limit of the gradient's norm."""
    return 5.0 if args.clip else None
