"""The options of LDNQ's scripts, and the values that they make."""

from argparse import BooleanOptionalAction, Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import config, typed
from common.cli.network_options import add_num_classes
from common.cli.option_parser import OptionParser
from common.cli.training import TrainingOptions
from common.cli.training_options import (
    add_continue,
    add_new_head,
    add_pretrained,
    add_sgd,
    add_tensorboard,
    check_new_head,
    cosine_config,
)
from common.cli.validation import validation_of
from common.models.registry import architecture, model
from LDNQ.levels import LEVEL_COUNTS
from LDNQ.network import MODEL_NAMES
from LDNQ.plan import HESSIANS, OPTIMIZERS, STATISTICS, Plan
from LDNQ.quant_config import GRANULARITIES, PACKED_ACT_BITS, QuantConfig

_CONFIG = Path(__file__).parent / "config"
_SWITCH = {"type": typed.truth, "nargs": "?", "const": True, "metavar": "BOOL"}


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share; data sets may be written as the original release does."""
    group = parser.add_argument_group("network and data of LDNQ")
    known = f"{', '.join(MODEL_NAMES)}, or written as ResNet18-ImageNet"
    network = f"network to train, or network in a file that does not record it: {known}"
    names = {"type": architecture, "choices": MODEL_NAMES, "metavar": "NAME"}
    group.add_argument("--arch", **names, default="resnet20", help=network)
    parser.add_alias("--model_name", "--arch")
    parser.add_alias("--dataset_name", "--dataset")
    parser.settable()["dataset"].type = _dataset_name


def _dataset_name(text: str) -> str:
    """``CIFAR10``, ``CIFAR-10`` and ``ImageNet`` as ``cifar10`` and ``imagenet``."""
    return text.lower().replace("-", "")


def eval_parser() -> OptionParser:
    """Options of ``eval.py``."""
    parser = config.build_parser("Evaluate a float network or one that LDNQ has quantized.", _CONFIG / "eval.yaml")
    add_network(parser)
    add_num_classes(parser)
    return parser


def train_parser() -> OptionParser:
    """Options of ``train.py``; ``--resume`` is the original release's name of ``--continue``."""
    parser = config.build_parser(
        "Train a float network that LDNQ can quantize.", _CONFIG / "train.yaml", evaluates=False
    )
    add_network(parser)
    group = parser.add_argument_group("training")
    add_pretrained(group)
    add_new_head(group)
    add_sgd(group, epochs=20, weight_decay=5e-4, rate="learning rate of the first SGD step, then cosine to 0")
    goes_on = "go on with a run in --output_dir; with another --lr train its network further, in a folder below"
    add_continue(group, goes_on)
    add_tensorboard(group)
    parser.add_alias("--resume", "--continue")
    return parser


def quantization_parser() -> OptionParser:
    """Options of ``main.py``; ``--kbits`` is the original release's name of ``--levels``."""
    parser = config.build_parser(
        "Quantize a float network with LDNQ from few unlabelled images.", _CONFIG / "quantize.yaml"
    )
    parser.fills_output_dir = True
    add_network(parser)
    _add_quantization(parser.add_argument_group("quantization"))
    _add_images(parser.add_argument_group("calibration images"))
    _add_matching(parser.add_argument_group("matching"))
    parser.add_alias("--kbits", "--levels")
    return parser


def _add_quantization(group) -> None:
    add_pretrained(group, "float network to quantize; for digits the shipped one if not given")
    number = "number of levels of a weight, not of bits: 3 levels take 2 bits, 5 and 7 take 3, 9 and 11 take 4"
    group.add_argument("--levels", type=int, choices=LEVEL_COUNTS, default=3, help=number)
    unit = "unit whose weights share a scale"
    group.add_argument("--granularity", choices=GRANULARITIES, default="channel", help=unit)
    ends = "whether the first and the last layer are quantized too"
    group.add_argument("--quantized_first_and_last", **_SWITCH, default=True, help=ends)
    penalty = "penalty of ADMM in units of the mean of the Hessian's diagonal, > 0"
    group.add_argument("--rho", type=typed.positive_float, default=0.3, help=penalty)
    moments = "network of a layer's second moments: quantized before the layer, or float, in one pass, or both"
    fewer = "number of images that Hessians and BatchNorm statistics are taken from; default: all"
    group.add_argument("--moment_images", type=typed.int_range(2), metavar="N", help=fewer)
    grid = "begin ADMM with the best scale of a grid, in place of one from the mean weight"
    group.add_argument("--searched_scales", action=BooleanOptionalAction, default=False, help=grid)
    share = "share of a Hessian that is replaced by its mean diagonal, 0 to 1"
    group.add_argument("--shrinkage", type=typed.share, default=0.0, help=share)
    group.add_argument("--hessians", choices=HESSIANS, default="prefix", help=moments)
    clips = "bits of activations, whose clips are calibrated on the same images and stored; default: float activations"
    group.add_argument("--act_bits", type=int, choices=[PACKED_ACT_BITS], help=clips)
    group.add_argument("--polish", action=BooleanOptionalAction, default=True, help="run coordinate descent after ADMM")


def _add_images(group) -> None:
    ratio = "share of the training images to learn from, above 0 to 1"
    group.add_argument("--ratio", type=typed.fraction, default=0.01, help=ratio)
    number = "number of training images to learn from, at least 2; replaces --ratio"
    group.add_argument("--num_images", type=typed.int_range(2), metavar="N", help=number)
    group.add_argument("--resample", **_SWITCH, default=False, help="choose the images anew and replace images.json")
    group.add_argument("--views", type=typed.positive_int, default=20, help="number of augmented views of each image")
    side = "side in pixels of the views, which then stand for larger ones at less cost; default: that of the network"
    group.add_argument("--view_size", type=typed.positive_int, metavar="S", help=side)
    mixed = "number of views, besides, that are mixtures of two images"
    group.add_argument("--mixed_views", type=typed.int_range(0), default=0, help=mixed)


def _add_matching(group) -> None:
    group.add_argument("--match_batch_size", type=typed.int_range(2), default=64, help="images per training step")
    group.add_argument("--steps", type=typed.int_range(0), default=16, help="training steps after each layer, at most")
    group.add_argument(
        "--lr", type=typed.positive_float, default=3e-3, help="learning rate of the SGD steps after a layer"
    )
    refine = "training steps of the refinement after the cascade; 0 leaves it out, as the paper does"
    group.add_argument("--refine_steps", type=typed.int_range(0), default=200, help=refine)
    rate = "learning rate of the first refinement step, then cosine to 0; of Adam: in units of a level's cell"
    group.add_argument("--refine_lr", type=typed.positive_float, default=1e-3, help=rate)
    optimizer = "optimizer of the refinement"
    group.add_argument("--refine_by", choices=OPTIMIZERS, default="sgd", help=optimizer)
    hints = "weight of the blocks' outputs in the loss of a refinement by adam; ResNets alone tell them"
    group.add_argument("--feature_weight", type=typed.nonnegative_float, default=0.0, metavar="W", help=hints)
    norms = "BatchNorm statistics at the end: of the images, or the float network's, shifted by what changed or not"
    group.add_argument("--statistics", choices=STATISTICS, default="anew", help=norms)
    group.add_argument("--statistics_views", type=typed.positive_int, default=2, help="views that they are taken from")
    add_continue(group, "go on with a stopped run in --output_dir; --no-continue starts it anew")
    tested = "measure the accuracy on the test images after each layer too, not only at the end"
    group.add_argument("--test_layers", action=BooleanOptionalAction, default=False, help=tested)


@dataclass(frozen=True)
class ImageOptions:
    """The images to learn from.

    Attributes:
        ratio: share of the training images.
        count: number of training images, in place of the share; None: the share.
        resample: whether to choose anew, whatever the run's folder records.
        views: number of augmented views of each image.
        mixed: number of views, besides, that are mixtures of two images.
        size: side of the views in pixels; None: that of the network's images.
    """

    ratio: float
    count: int | None
    resample: bool
    views: int
    mixed: int
    size: int | None = None


@dataclass(frozen=True)
class QuantizationOptions:
    """Network, levels, images and settings of a quantization.

    Attributes:
        arch: name of the network in the registry.
        pretrained: file of the float network; None: the one that ships for the data set.
        config: levels that the weights are brought to.
        plan: settings of the cascade.
        images: images to learn from.
        go_on: whether a run that was stopped is continued; otherwise it starts anew.
        test_layers: whether the network is tested after each layer.
        act_bits: bits of activations, 8; None: float.
    """

    arch: str
    pretrained: Path | None
    config: QuantConfig
    plan: Plan
    images: ImageOptions
    go_on: bool
    test_layers: bool
    act_bits: int | None = None


def training_options(args: Namespace) -> TrainingOptions:
    """The training that the options of ``train.py`` describe.

    Raises:
        ConfigError: the network does not take the images, or a new last layer has no start.
    """
    model(args.arch, args.dataset)
    check_new_head(args)
    name = f"{args.arch}_{args.dataset}"
    about = {"validation": validation_of(args), "new_head": args.new_head, "tensorboard": args.tensorboard}
    return TrainingOptions(cosine_config(args), args.output_dir, name, args.go_on, **about)


def quantization_options(args: Namespace) -> QuantizationOptions:
    """The quantization that the options of ``main.py`` describe.

    Raises:
        ConfigError: the network does not take the images.
    """
    model(args.arch, args.dataset)
    names = ("rho", "polish", "hessians", "steps", "lr", "refine_steps", "refine_lr", "refine_by", "feature_weight")
    names += ("statistics", "statistics_views", "searched_scales", "shrinkage", "moment_images")
    return QuantizationOptions(
        arch=args.arch,
        pretrained=args.pretrained,
        config=QuantConfig(args.levels, args.granularity, args.quantized_first_and_last),
        plan=Plan(batch_size=args.match_batch_size, **{name: getattr(args, name) for name in names}),
        images=ImageOptions(args.ratio, args.num_images, args.resample, args.views, args.mixed_views, args.view_size),
        go_on=args.go_on,
        test_layers=args.test_layers,
        act_bits=args.act_bits,
    )
