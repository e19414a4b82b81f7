"""The options of LDNQ's scripts, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import config, typed
from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.training_options import add_continue, add_pretrained, add_sgd, cosine_config
from common.models.registry import architecture, model
from LDNQ.levels import LEVEL_COUNTS
from LDNQ.network import MODEL_NAMES
from LDNQ.plan import Plan
from LDNQ.quant_config import GRANULARITIES, QuantConfig

_CONFIG = Path(__file__).parent / "config"
_SWITCH = {"type": typed.truth, "nargs": "?", "const": True, "metavar": "BOOL"}


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share; data sets may be written as the original release does."""
    group = parser.add_argument_group("network and data of LDNQ")
    where = f"where the file does not record it: {', '.join(MODEL_NAMES)}, or as ResNet18-ImageNet"
    names = {"type": architecture, "choices": MODEL_NAMES, "metavar": "NAME"}
    group.add_argument("--arch", **names, default="resnet20", help=where)
    group.add_argument("--wnids", type=typed.path, metavar="FILE", help="imagenet: class folders in label order")
    parser.add_alias("--model_name", "--arch")
    parser.add_alias("--dataset_name", "--dataset")
    parser.settable()["dataset"].type = _dataset_name


def _dataset_name(text: str) -> str:
    """``CIFAR10``, ``CIFAR-10`` and ``ImageNet`` as ``cifar10`` and ``imagenet``."""
    return text.lower().replace("-", "")


def eval_parser() -> OptionParser:
    """Options of ``eval.py``."""
    parser = config.build_parser("Evaluate LDNQ.", _CONFIG / "eval.yaml")
    add_network(parser)
    parser.add_argument("--num_classes", type=typed.positive_int, help="what the file must have; any if not given")
    return parser


def train_parser() -> OptionParser:
    """Options of ``train.py``; ``--resume`` is the original release's name of ``--continue``."""
    parser = config.build_parser("Train for LDNQ.", _CONFIG / "train.yaml", evaluates=False)
    add_network(parser)
    group = parser.add_argument_group("training")
    add_pretrained(group)
    add_sgd(group, epochs=20, weight_decay=5e-4, rate="first learning rate, cosine to 0")
    goes_on = "go on with a run in output_dir; with another --lr: train its best network further, in a folder below"
    add_continue(group, goes_on)
    parser.add_alias("--resume", "--continue")
    return parser


def quantization_parser() -> OptionParser:
    """Options of ``main.py``; ``--kbits`` is the original release's name of ``--levels``."""
    parser = config.build_parser("Quantize with LDNQ.", _CONFIG / "quantize.yaml")
    add_network(parser)
    _add_quantization(parser.add_argument_group("quantization"))
    _add_images(parser.add_argument_group("calibration images"))
    _add_matching(parser.add_argument_group("matching"))
    parser.add_alias("--kbits", "--levels")
    return parser


def _add_quantization(group) -> None:
    add_pretrained(group, "float network to quantize; digits: the shipped one")
    group.add_argument("--levels", type=int, choices=LEVEL_COUNTS, default=3, help="NUMBER of levels of a weight")
    group.add_argument("--granularity", choices=GRANULARITIES, default="channel", help="weights of one scale")
    ends = "all layers; false: those between alone"
    group.add_argument("--quantized_first_and_last", **_SWITCH, default=True, help=ends)
    penalty = "penalty of ADMM, by the Hessian's mean diagonal"
    group.add_argument("--rho", type=typed.positive_float, default=0.3, help=penalty)
    group.add_argument("--polish", action=BooleanOptionalAction, default=True, help="coordinate descent after ADMM")


def _add_images(group) -> None:
    group.add_argument("--ratio", type=typed.fraction, default=0.01, help="share of the training images to learn from")
    group.add_argument("--num_images", type=typed.int_range(2), metavar="N", help="their number, in place of --ratio")
    group.add_argument("--resample", **_SWITCH, default=False, help="choose the images anew")
    group.add_argument("--views", type=typed.positive_int, default=20, help="augmented views of each image")


def _add_matching(group) -> None:
    group.add_argument("--match_batch_size", type=typed.int_range(2), default=64, help="images of a training step")
    group.add_argument("--steps", type=typed.int_range(0), default=16, help="at most so many steps after each layer")
    group.add_argument("--lr", type=typed.positive_float, default=3e-3, help="learning rate of these steps")
    group.add_argument("--refine_steps", type=typed.int_range(0), default=200, help="0: the paper's cascade alone")
    group.add_argument("--refine_lr", type=typed.positive_float, default=1e-3, help="its first learning rate")
    add_continue(group, "go on with a run in output_dir; --no-continue starts it anew")
    group.add_argument("--test_layers", action=BooleanOptionalAction, default=True, help="test accuracy per layer")


@dataclass(frozen=True)
class ImageOptions:
    """The images to learn from.

    Attributes:
        ratio: share of the training images.
        count: number of them, in place of the share; None: the share.
        resample: choose anew, whatever the run's folder records.
        views: augmented views of each image.
    """

    ratio: float
    count: int | None
    resample: bool
    views: int


@dataclass(frozen=True)
class QuantizationOptions:
    """What is quantized, and how.

    Attributes:
        model_name: name of the network in the registry.
        pretrained: float network; None: the one that ships for the data set.
        config: what the weights become.
        plan: how they get there.
        images: to learn from.
        go_on: continue a run that was stopped; otherwise start it anew.
        test_layers: test the network after each layer.
    """

    model_name: str
    pretrained: Path | None
    config: QuantConfig
    plan: Plan
    images: ImageOptions
    go_on: bool
    test_layers: bool


def training_options(args: Namespace) -> TrainingOptions:
    """What the options of ``train.py`` say.

    Raises:
        ConfigError: the network does not take the images.
    """
    model(args.arch, args.dataset)
    name = f"{args.arch}_{args.dataset}"
    return TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, args.test_every)


def quantization_options(args: Namespace) -> QuantizationOptions:
    """What the options of ``main.py`` say.

    Raises:
        ConfigError: the network does not take the images.
    """
    model(args.arch, args.dataset)
    names = ("rho", "polish", "steps", "lr", "refine_steps", "refine_lr")
    return QuantizationOptions(
        model_name=args.arch,
        pretrained=args.pretrained,
        config=QuantConfig(args.levels, args.granularity, args.quantized_first_and_last),
        plan=Plan(batch_size=args.match_batch_size, **{name: getattr(args, name) for name in names}),
        images=ImageOptions(args.ratio, args.num_images, args.resample, args.views),
        go_on=args.go_on,
        test_layers=args.test_layers,
    )
