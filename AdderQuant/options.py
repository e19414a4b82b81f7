"""The options of AdderQuant's scripts, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from AdderQuant.network import ARCHITECTURES
from AdderQuant.prepare import Calibration
from AdderQuant.quant_config import MAX_GROUPS, SCHEMES, QuantConfig
from common.cli import config
from common.cli import config as typed
from common.cli.config import OptionParser
from common.cli.training_options import add_test_every

_CONFIG = Path(__file__).parent / "config"


def eval_parser(description: str = "Evaluate AdderQuant.") -> OptionParser:
    """Options of ``eval.py``; the aliases are the names in the original release's documentation."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    parser.add_alias("--checkpoint_file_path", "--checkpoint_path")
    group = parser.add_argument_group("network")
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help="where the file does not say")
    group.add_argument("--num_classes", type=typed.positive_int, help="that the file must have; any if not given")
    parser.add_alias("--class_num", "--num_classes")
    _add_quantization(parser.add_argument_group("quantization"))
    _add_calibration(parser.add_argument_group("calibration"))
    group = parser.add_argument_group("accepted for old command lines")
    group.add_argument("--device_num", type=typed.int_range(1, 1), default=1, help="one process")
    group.add_argument("--image_size", type=typed.int_range(32, 32), default=32, help="what the networks take")
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--bits", type=typed.int_range(2, 8, 32), help="32 is float; 8 for a float file if not given")
    group.add_argument("--scheme", choices=SCHEMES, default="two-sided", help="levels of the weights")
    groups = "scale groups per layer of scheme paper"
    group.add_argument("--groups", type=typed.int_range(1, MAX_GROUPS), default=4, help=groups)
    quantile = "share of the inputs left unclamped; chosen by scheme and bits if not given"
    group.add_argument("--quantile", type=typed.fraction, help=quantile)


def _add_calibration(group) -> None:
    group.add_argument("--calibration_size", type=typed.positive_int, default=1024, metavar="N", help="images")
    group.add_argument("--reestimate", action=BooleanOptionalAction, default=False, help="BatchNorm statistics too")
    group.add_argument("--reestimation_batches", type=typed.positive_int, default=16, metavar="N", help="of 128 images")
    group.add_argument("--save_checkpoint", type=typed.path, metavar="FILE", help="keep the calibrated network")


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser("Train a float AdderNet.", _CONFIG / "train.yaml", evaluates=False)
    group = parser.add_argument_group("training")
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help="network to train")
    group.add_argument("--epochs", type=typed.positive_int, default=40, help="passes over the training images")
    add_test_every(group)
    group.add_argument("--lr", type=typed.positive_float, default=0.1, help="first learning rate, cosine to 0")
    group.add_argument("--momentum", type=typed.share, default=0.9, help="of SGD")
    group.add_argument("--weight_decay", type=typed.nonnegative_float, default=5e-4, help="L2 penalty")
    again = "go on with a run in output_dir that was stopped; --no-continue starts it anew"
    group.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=again)
    return parser


def calibration_options(args: Namespace) -> Calibration:
    """What the options of ``eval.py`` say of the quantization."""
    about = {"quantile": args.quantile, "reestimate": args.reestimate, "seed": args.seed}
    config = QuantConfig(scheme=args.scheme, groups=args.groups, **about)
    return Calibration(args.bits, config, args.calibration_size, args.reestimation_batches, args.save_checkpoint)
