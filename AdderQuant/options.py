"""The options of AdderQuant's scripts, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from AdderQuant.network import ARCHITECTURES
from AdderQuant.prepare import Calibration
from AdderQuant.quant_config import MAX_GROUPS, SCHEMES, QuantConfig
from common.cli import config, typed
from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.training_options import add_continue, add_sgd, cosine_config

_CONFIG = Path(__file__).parent / "config"


def eval_parser(description: str = "Evaluate AdderQuant.") -> OptionParser:
    """Options of ``eval.py``; the aliases are the names in the original release's documentation."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    parser.add_alias("--checkpoint_file_path", "--checkpoint_path")
    group = parser.add_argument_group("network")
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help="of a file that does not say")
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
    batches = "of 128 images, for the statistics"
    group.add_argument("--reestimation_batches", type=typed.positive_int, default=16, metavar="N", help=batches)
    group.add_argument("--save_checkpoint", type=typed.path, metavar="FILE", help="keep the calibrated network")


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser("Train a float AdderNet.", _CONFIG / "train.yaml", evaluates=False)
    group = parser.add_argument_group("training")
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help="network to train")
    add_sgd(group, epochs=40, weight_decay=5e-4, rate="first learning rate, cosine to 0")
    add_continue(group, "go on with a run in output_dir that was stopped; --no-continue starts it anew")
    return parser


def calibration_options(args: Namespace) -> Calibration:
    """What the options of ``eval.py`` want of a network."""
    about = {"quantile": args.quantile, "reestimate": args.reestimate, "seed": args.seed}
    quantization = QuantConfig(scheme=args.scheme, groups=args.groups, **about)
    return Calibration(args.bits, quantization, args.calibration_size, args.reestimation_batches)


def training_options(args: Namespace) -> TrainingOptions:
    """The run that the options of ``train.py`` describe."""
    name = f"{args.arch}_{args.dataset}"
    return TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, args.test_every)
