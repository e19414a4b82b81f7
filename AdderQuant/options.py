"""The options of AdderQuant's scripts, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from AdderQuant.network import ARCHITECTURES
from AdderQuant.prepare import Calibration
from AdderQuant.quant_config import MAX_GROUPS, SCHEMES, QuantConfig
from common.cli import config, typed
from common.cli.network_options import add_num_classes
from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.training_options import add_continue, add_sgd, add_tensorboard, cosine_config
from common.cli.validation import validation_of

_CONFIG = Path(__file__).parent / "config"


def eval_parser(description: str = "Evaluate an AdderNet in float or at 2 to 8 bits.") -> OptionParser:
    """Options of ``eval.py``; the aliases are the names in the original release's documentation."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    parser.add_alias("--checkpoint_file_path", "--checkpoint_path")
    group = parser.add_argument_group("network")
    unnamed = "network in a file that does not record it"
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help=unnamed)
    add_num_classes(group)
    parser.add_alias("--class_num", "--num_classes")
    _add_quantization(parser.add_argument_group("quantization"))
    _add_calibration(parser.add_argument_group("calibration"))
    group = parser.add_argument_group("accepted for old command lines")
    group.add_argument("--device_num", type=typed.int_range(1, 1), default=1, help="number of processes, always 1")
    group.add_argument(
        "--image_size", type=typed.int_range(32, 32), default=32, help="side of the images in pixels, always 32"
    )
    return parser


def _add_quantization(group) -> None:
    bits = "bits of weights and inputs, 2 to 8, or 32 for float; default: 8, for a calibrated file its own"
    group.add_argument("--bits", type=typed.int_range(2, 8, 32), help=bits)
    scheme = "ranges of an adder layer: one for the whole layer, or the paper's, one for each group of filters"
    group.add_argument("--scheme", choices=SCHEMES, default="two-sided", help=scheme)
    groups = f"number of scale groups in a layer with --scheme paper, 1 to {MAX_GROUPS}"
    group.add_argument("--groups", type=typed.int_range(1, MAX_GROUPS), default=4, help=groups)
    quantile = (
        "share of each layer's inputs that is not clamped, above 0 to 1; chosen by --scheme and --bits if not given"
    )
    group.add_argument("--quantile", type=typed.fraction, help=quantile)


def _add_calibration(group) -> None:
    images = "number of unlabelled training images to calibrate with"
    group.add_argument("--calibration_size", type=typed.positive_int, default=1024, metavar="N", help=images)
    statistics = "take BatchNorm statistics of the quantized network anew"
    group.add_argument("--reestimate", action=BooleanOptionalAction, default=False, help=statistics)
    batches = "number of batches of 128 augmented images for --reestimate"
    group.add_argument("--reestimation_batches", type=typed.positive_int, default=16, metavar="N", help=batches)
    group.add_argument(
        "--save_checkpoint", type=typed.path, metavar="FILE", help="file to write the calibrated network to"
    )


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser("Train a float AdderNet.", _CONFIG / "train.yaml", evaluates=False)
    group = parser.add_argument_group("training")
    group.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0], help="network to train")
    add_sgd(group, epochs=40, weight_decay=5e-4, rate="learning rate of the first SGD step, then cosine to 0")
    add_continue(group, "go on with a run in output_dir that was stopped; --no-continue starts it anew")
    add_tensorboard(group)
    return parser


def calibration_options(args: Namespace) -> Calibration:
    """Quantization and calibration that the options of ``eval.py`` ask for."""
    about = {"quantile": args.quantile, "reestimate": args.reestimate, "seed": args.seed}
    quantization = QuantConfig(scheme=args.scheme, groups=args.groups, **about)
    return Calibration(args.bits, quantization, args.calibration_size, args.reestimation_batches)


def training_options(args: Namespace) -> TrainingOptions:
    """The run that the options of ``train.py`` describe."""
    name = f"{args.arch}_{args.dataset}"
    about = {"validation": validation_of(args), "tensorboard": args.tensorboard}
    return TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, **about)
