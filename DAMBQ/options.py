"""The options of DAMBQ's scripts, and the values that they make."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import config, typed
from common.cli.network_options import add_num_classes
from common.cli.option_parser import OptionParser
from common.cli.training_options import add_run, add_training, check_one_start
from common.errors import ConfigError
from common.models.registry import model
from DAMBQ.budget import GRANULARITIES, Budget
from DAMBQ.tables import TABLES

# The networks by the registry's names; the original release writes vgg-small.
ARCHITECTURES = (
    *("resnet20", "resnet32", "resnet56", "resnet20_conv", "vgg_small"),
    *("resnet18", "resnet34", "resnet50", "mobilenet_v2"),
)
_CONFIG = Path(__file__).parent / "config"


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DAMBQ")
    network = "network to train, or network in a file that does not record it"
    group.add_argument("--arch", "-a", type=_architecture, choices=ARCHITECTURES, default="resnet20", help=network)


def _architecture(name: str) -> str:
    return name.replace("-", "_")


def eval_parser(description: str = "Evaluate a float network or one that DAMBQ has quantized.") -> OptionParser:
    """Options of ``eval.py``."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    add_network(parser)
    add_num_classes(parser)
    return parser


def add_table(parser: OptionParser) -> OptionParser:
    """The option of ``export.py`` that puts another level table into a trained network."""
    _add_table(parser.add_argument_group("levels"))
    return parser


def add_rounding(parser: OptionParser) -> OptionParser:
    """The options of ``eval.py`` that do so."""
    group = parser.add_argument_group("levels")
    _add_table(group)
    file = "file to write the network with the table's levels to"
    group.add_argument("--save_checkpoint", type=typed.path, metavar="FILE", help=file)
    return parser


def _add_table(group) -> None:
    table = "table whose levels take the places of those of the file's v2: they are 8-bit integers; default: the file's"
    group.add_argument("--table", choices=["int8"], help=table)


@dataclass(frozen=True)
class RoundingOptions:
    """Levels of a network that is evaluated.

    Attributes:
        table: ``int8``: the file's levels are rounded to those; None: they stay.
        file: that the network is written to; None: none.
    """

    table: str | None
    file: Path | None


def rounding_options(args: Namespace) -> RoundingOptions:
    """What the options of levels say.

    Raises:
        ConfigError: a file is to be written of a network that one holds already.
    """
    if args.save_checkpoint and not args.table:
        raise ConfigError("save_checkpoint: expected it with --table int8, found no --table: a file holds the network")
    return RoundingOptions(args.table, args.save_checkpoint)


def train_parser() -> OptionParser:
    """Options of ``train.py``; the aliases are the names in the original release's documentation."""
    parser = config.build_parser(
        "Train a float network, or quantize one with DAMBQ.", _CONFIG / "train.yaml", evaluates=False
    )
    add_network(parser)
    add_run(parser, "dambq")
    add_training(parser, epochs=300, schedule="cosine", milestones=(150, 225), warmup_epochs=0)
    _add_quantization(parser.add_argument_group("quantization"))
    parser.add_alias("--expr_name", "--run_name")
    parser.add_alias("--resume", "--init_from")
    return parser


def _add_quantization(group) -> None:
    truth, fraction = typed.truth, typed.fraction
    group.add_argument("--quantize", action="store_true", help="train a quantized network, not a float one")
    group.add_argument("--wgt_target", type=float, default=4.0, help="target of the average bits of weights, 0 to 4")
    activations = "target of the average bits of activations, 0 to 4"
    group.add_argument("--act_target", type=float, default=4.0, help=activations)
    unit = "unit that has bits of its own"
    group.add_argument("--granularity", choices=GRANULARITIES, default="channel", help=unit)
    layerwise = "short for --granularity layer"
    group.add_argument("--layerwise", type=truth, nargs="?", const=True, default=False, metavar="BOOL", help=layerwise)
    shares = "shares of the groups that lose a bit in the first and in the last epoch of --duration"
    group.add_argument("--shares", type=fraction, nargs=2, default=[0.01, 0.3], metavar="SHARE", help=shares)
    rise = "first and last epoch, counted from 0, between which the share rises linearly"
    group.add_argument("--duration", type=typed.int_range(0), nargs=2, default=[0, 150], metavar="EPOCH", help=rise)
    planned = "bits of each layer to begin with, 0 to 4, as python -m lowbitzoo sensitivity plans them"
    group.add_argument("--bits_file", type=typed.path, metavar="FILE", help=planned)
    table = "table of the weights' levels; default: v2, or that of --init_from"
    group.add_argument("--table", choices=list(TABLES), help=table)
    clip = "first value of the activations' learned clips, > 0; default: 3, or those of --init_from"
    group.add_argument("--activation_clip", type=typed.positive_float, help=clip)


@dataclass(frozen=True)
class NetworkOptions:
    """The network of a file.

    Attributes:
        arch: name of the architecture, for files that do not record it.
        num_classes: number of classes that the file must have; None takes any.
    """

    arch: str
    num_classes: int | None


@dataclass(frozen=True)
class TrainOptions:
    """Start, budget and settings of a training.

    Attributes:
        arch: name of the architecture.
        dataset: name of the data set.
        seed: seed of the calibration images.
        pretrained: float network to start from.
        init_from: quantized network to start from.
        budget: targets of the average bits; None: the network is float.
        table: name of the weights' level table; None: v2, or that of ``init_from``.
        activation_clip: first value of the activations' clips; None: 3, or those that ``init_from`` has learned.
        bits_file: bits of each layer to begin with; None: 4 everywhere, or those of ``init_from``.
    """

    arch: str
    dataset: str
    seed: int
    pretrained: Path | None
    init_from: Path | None
    budget: Budget | None
    table: str | None
    activation_clip: float | None
    bits_file: Path | None = None


def network_options(args: Namespace) -> NetworkOptions:
    """Architecture and number of classes that the options say of a file."""
    return NetworkOptions(args.arch, args.num_classes)


def train_options(args: Namespace) -> TrainOptions:
    """The training that the options of ``train.py`` describe.

    Raises:
        ConfigError: they contradict each other, or the network does not take the images.
    """
    model(args.arch, args.dataset)
    if args.init_from and not args.quantize:
        raise ConfigError("init_from: it starts from a quantized network; add --quantize, or give --pretrained FILE")
    check_one_start(args)
    ends = tuple(args.shares), tuple(args.duration)
    budget = Budget(args.wgt_target, args.act_target, granularity(args), *ends)
    starts = args.pretrained, args.init_from
    rest = budget if args.quantize else None, args.table, args.activation_clip
    return TrainOptions(args.arch, args.dataset, args.seed, *starts, *rest, args.bits_file)


def granularity(args: Namespace) -> str:
    """Unit that has bits of its own; ``--layerwise``, an option of the original release, stands for ``layer``.

    Raises:
        ConfigError: the two options contradict each other.
    """
    if args.layerwise and args.granularity == "network":
        raise ConfigError("layerwise: expected it without --granularity network, found both; leave one out")
    return "layer" if args.layerwise else args.granularity
