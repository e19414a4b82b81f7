"""The options of DynamicQuant's scripts, and the values that they make."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import config, typed
from common.cli.network_options import add_num_classes
from common.cli.option_parser import OptionParser
from common.cli.preprocessing_options import preprocessing_options
from common.cli.training_options import add_run, add_training, check_one_start
from common.errors import ConfigError
from common.models.registry import model, preprocessing_of
from DynamicQuant.budget import BUDGETS
from DynamicQuant.quant_config import QUANTIZERS, QuantConfig

ARCHITECTURES = (
    "resnet20",
    "resnet32",
    "resnet56",
    "resnet20_conv",
    "resnet18",
    "resnet34",
    "resnet50",
    "mobilenet_v2",
)
_CONFIG = Path(__file__).parent / "config"


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DynamicQuant")
    network = "network to train, or network in a file that does not record it; default: resnet20, for imagenet resnet18"
    group.add_argument("--arch", "-a", choices=ARCHITECTURES, help=network)


def stored_parser(description: str = "") -> OptionParser:
    """Options of scripts that read a network from a file."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    add_network(parser)
    add_num_classes(parser)
    return parser


def eval_parser() -> OptionParser:
    """Options of ``eval.py``; those of the original release keep their names."""
    parser = stored_parser("Evaluate a float network, or a static or dynamic one of DynamicQuant.")
    parser.add_argument(
        "--smoothing", type=typed.share, default=0.0, help="label smoothing of the reported loss, 0 to 1"
    )
    parser.add_argument("--plots", action="store_true", help="write bits.png and examples.png to --output_dir")
    return parser


def potential_parser() -> OptionParser:
    """Options of ``potential.py``."""
    parser = stored_parser("Measure what choosing bits can gain over the same bits everywhere.")
    known, held_out = "number of training images to learn from", "number of test images to measure on"
    parser.add_argument("--images", type=typed.positive_int, default=2048, metavar="N", help=known)
    parser.add_argument("--held_out", type=typed.positive_int, default=1024, metavar="N", help=held_out)
    return parser


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser("Train a float, static or dynamic network.", _CONFIG / "train.yaml", evaluates=False)
    add_network(parser)
    add_run(parser, "dynamic")
    add_training(parser, epochs=110, schedule="multistep", milestones=(30, 60, 85, 95), warmup_epochs=5)
    _add_quantization(parser.add_argument_group("quantization"))
    return parser


def _add_quantization(group) -> None:
    target = "target bits t, 3 to 7, with --static 2 to 8; the candidates of a layer are t - 1, t and t + 1"
    group.add_argument("--bits", type=int, default=4, help=target)
    group.add_argument(
        "--quantizer", choices=QUANTIZERS, default="dorefa", help="quantizer; pact learns the clips of activations"
    )
    group.add_argument("--float", action="store_true", help="train a float network, which others can start from")
    static = "train the static network of t bits everywhere, to compare with"
    group.add_argument("--static", action="store_true", help=static)
    limited = "quantity that the penalty limits: mean bit operations, or mean bits, of the static network"
    group.add_argument("--budget", choices=list(BUDGETS), default="bitflops", help=limited)
    weights = ", ".join(f"{weight:g} for {name}" for name, weight in BUDGETS.items())
    group.add_argument(
        "--penalty", type=typed.positive_float, help=f"weight of the budget in the loss, > 0; default: {weights}"
    )
    group.add_argument(
        "--temperature", type=typed.positive_float, default=1.0, help="temperature of the Gumbel-softmax"
    )
    lead = "lead of t bits in the controller's first scores, at least 0; at 0 all candidates are equal, as in the paper"
    group.add_argument("--preference", type=typed.nonnegative_float, default=2.0, help=lead)
    decay = "share of the epochs, 0 to 1, after which the noise of choices is gone; 0 keeps it, as in the paper"
    group.add_argument("--noise_decay", type=typed.share, default=0.5, metavar="SHARE", help=decay)
    clip = "first clip of activations, > 0 (the papers: 1 for dorefa, 10 for pact), or calibrated on training images"
    kind = typed.positive_float_or("calibrate")
    group.add_argument("--activation_clip", type=kind, default="calibrate", metavar="NUMBER|calibrate", help=clip)


@dataclass(frozen=True)
class NetworkOptions:
    """The network of a file.

    Attributes:
        arch: name in the registry, for files that do not record it.
        num_classes: number of classes that the file must have; None takes any.
    """

    arch: str
    num_classes: int | None


@dataclass(frozen=True)
class ReportOptions:
    """Figures and pictures that ``eval.py`` adds to the accuracy.

    Attributes:
        smoothing: label smoothing of the loss, 0 to 1.
        plots: whether the choices are drawn.
    """

    smoothing: float = 0.0
    plots: bool = False


@dataclass(frozen=True)
class PotentialOptions:
    """Network and images that ``potential.py`` measures.

    Attributes:
        network: network of the file.
        images: number of training images.
        held_out: number of test images.
    """

    network: NetworkOptions
    images: int
    held_out: int


@dataclass(frozen=True)
class TrainOptions:
    """Start, budget and settings of a training.

    Attributes:
        config: quantization settings; None: the network is float.
        arch: name in the registry.
        dataset: name of the data set.
        pretrained: float network to start from.
        init_from: quantized network to start from.
        seed: seed of noise and calibration images.
        budget: kind of budget, ``bitflops`` or ``mean-bits``.
        penalty: weight of the budget in the loss.
        noise_decay: share of the epochs after which the noise is gone.
        activation_clip: first clip of activations, or ``calibrate``.
    """

    config: QuantConfig | None
    arch: str
    dataset: str
    pretrained: Path | None
    init_from: Path | None
    seed: int
    budget: str
    penalty: float
    noise_decay: float
    activation_clip: float | str


def arch_of(args: Namespace) -> str:
    """The registry's name of the network that the options name."""
    return args.arch or ("resnet18" if args.dataset == "imagenet" else "resnet20")


def network_options(args: Namespace) -> NetworkOptions:
    """Architecture and number of classes that the options say of a file."""
    return NetworkOptions(arch_of(args), args.num_classes)


def potential_options(args: Namespace) -> PotentialOptions:
    """Network and images that the options of ``potential.py`` choose."""
    return PotentialOptions(network_options(args), args.images, args.held_out)


def train_options(args: Namespace) -> TrainOptions:
    """The training that the options of ``train.py`` describe.

    Raises:
        ConfigError: they contradict each other, or the network does not take the images.
    """
    name = arch_of(args)
    model(name, args.dataset)
    check_one_start(args)
    if args.init_from and args.float:
        raise ConfigError("init_from: it starts from a quantized network; leave out --float, or give --pretrained FILE")
    return TrainOptions(
        config=None if args.float else _quant_config(args),
        arch=name,
        dataset=args.dataset,
        pretrained=args.pretrained,
        init_from=args.init_from,
        seed=args.seed,
        budget=args.budget,
        penalty=args.penalty or BUDGETS[args.budget],
        noise_decay=args.noise_decay,
        activation_clip=args.activation_clip,
    )


def _quant_config(args: Namespace) -> QuantConfig:
    return QuantConfig(
        bits=args.bits,
        quantizer=args.quantizer,
        static=args.static,
        image_size=preprocessing_options(args).over(preprocessing_of(args.dataset, {})).image_size,
        temperature=args.temperature,
        preference=args.preference,
    )
