"""The options of DynamicQuant's scripts, and the values that they make."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import config, typed
from common.cli.option_parser import OptionParser
from common.cli.preprocessing_options import preprocessing_options
from common.cli.training_options import add_run, add_training, check_one_start
from common.errors import ConfigError
from common.models.registry import model, preprocessing_of
from DynamicQuant.budget import BUDGETS
from DynamicQuant.quant_config import QUANTIZERS, QuantConfig

ARCHITECTURES = ("resnet20", "resnet32", "resnet56", "resnet18", "resnet34", "resnet50")
_CONFIG = Path(__file__).parent / "config"


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DynamicQuant")
    group.add_argument("--arch", "-a", choices=ARCHITECTURES, help="network; resnet20, for imagenet resnet18")
    group.add_argument("--wnids", type=typed.path, metavar="FILE", help="imagenet: class folders in label order")


def stored_parser(description: str = "") -> OptionParser:
    """Options of scripts that read a network from a file."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    add_network(parser)
    parser.add_argument("--num_classes", type=typed.positive_int, help="the file's own if not given")
    return parser


def eval_parser() -> OptionParser:
    """Options of ``eval.py``; those of the original release keep their names."""
    parser = stored_parser("Evaluate DynamicQuant.")
    parser.add_argument("--smoothing", type=typed.share, default=0.0, help="label smoothing of the loss")
    parser.add_argument("--plots", action="store_true", help="write bits.png and examples.png into output_dir")
    return parser


def potential_parser() -> OptionParser:
    """Options of ``potential.py``."""
    parser = stored_parser("What choices are worth.")
    parser.add_argument("--images", type=typed.positive_int, default=2048, help="training images to look at")
    parser.add_argument("--held_out", type=typed.positive_int, default=1024, help="test images to look at")
    return parser


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser("Train with DynamicQuant.", _CONFIG / "train.yaml", evaluates=False)
    add_network(parser)
    add_run(parser, "dynamic")
    add_training(parser, epochs=110, schedule="multistep", milestones=(30, 60, 85, 95), warmup_epochs=5)
    _add_quantization(parser.add_argument_group("quantization"))
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--bits", type=int, default=4, help="target t, 3 to 7; candidates are t - 1, t, t + 1")
    group.add_argument("--quantizer", choices=QUANTIZERS, default="dorefa", help="pact learns the clips")
    group.add_argument("--float", action="store_true", help="no bits at all: a float network to start others from")
    group.add_argument("--static", action="store_true", help="t bits everywhere, 2 to 8: what to compare with")
    group.add_argument("--budget", choices=list(BUDGETS), default="bitflops", help="what the penalty limits")
    weights = ", ".join(f"{weight:g} for {name}" for name, weight in BUDGETS.items())
    group.add_argument("--penalty", type=typed.positive_float, help=f"weight of the budget in the loss; {weights}")
    group.add_argument("--temperature", type=typed.positive_float, default=1.0, help="of the Gumbel-softmax")
    lead = "by how much t bits lead in the controller's first scores; 0: all candidates are equal, as in the paper"
    group.add_argument("--preference", type=typed.nonnegative_float, default=2.0, help=lead)
    decay = "share of the epochs after which the noise of choices is gone; 0 keeps it, as in the paper"
    group.add_argument("--noise_decay", type=typed.share, default=0.5, metavar="SHARE", help=decay)
    clip = "first clip of activations: a number (the papers: 1 for dorefa, 10 for pact), or calibrate on images"
    kind = typed.positive_float_or("calibrate")
    group.add_argument("--activation_clip", type=kind, default="calibrate", metavar="NUMBER|calibrate", help=clip)


@dataclass(frozen=True)
class NetworkOptions:
    """The network of a file.

    Attributes:
        arch: name in the registry, for files that do not record it.
        num_classes: what the file must have; None takes any.
    """

    arch: str
    num_classes: int | None


@dataclass(frozen=True)
class ReportOptions:
    """What ``eval.py`` reports beside the accuracy.

    Attributes:
        smoothing: label smoothing of the loss, 0 to 1.
        plots: whether the choices are drawn.
    """

    smoothing: float = 0.0
    plots: bool = False


@dataclass(frozen=True)
class PotentialOptions:
    """What ``potential.py`` looks at.

    Attributes:
        network: of the file.
        images: number of training images.
        held_out: number of test images.
    """

    network: NetworkOptions
    images: int
    held_out: int


@dataclass(frozen=True)
class TrainOptions:
    """What is trained, and from what.

    Attributes:
        config: how the network is quantized; None: it is float.
        arch: name in the registry.
        dataset: name of the data set.
        pretrained: float network to start from.
        init_from: quantized network to start from.
        seed: of noise and calibration images.
        budget: ``bitflops`` or ``mean-bits``.
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
    """What the options say of the network in a file."""
    return NetworkOptions(arch_of(args), args.num_classes)


def potential_options(args: Namespace) -> PotentialOptions:
    """What the options of ``potential.py`` say."""
    return PotentialOptions(network_options(args), args.images, args.held_out)


def train_options(args: Namespace) -> TrainOptions:
    """What the options of ``train.py`` say.

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
