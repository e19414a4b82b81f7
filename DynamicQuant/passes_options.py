"""The options of ``two_passes.py``, and the values that they make."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from common.cli import typed
from common.cli.checkpoint_names import resolved
from common.cli.option_parser import OptionParser
from DynamicQuant.options import NetworkOptions, network_options, stored_parser


def passes_parser() -> OptionParser:
    """Options of ``two_passes.py``."""
    parser = stored_parser("Choose bits for each image by a first pass at fewer bits, and measure it.")
    parser.settable()["checkpoint_path"].help = "static network of the first pass, of fewer bits"
    second = "static network of the second pass"
    parser.add_argument("--second", type=typed.checkpoint, required=True, metavar="FILE|NAME", help=second)
    target = "bits of the static network whose bit operations are the limit"
    parser.add_argument("--target_bits", type=typed.int_range(3, 7), default=3, help=target)
    kept = "number of training images that both trainings have kept by --validation and --seed; they set the threshold"
    parser.add_argument("--validation", type=typed.positive_int, default=5000, metavar="N", help=kept)
    views = "set the threshold on randomly cropped and flipped views of them, for networks whose start has learned them"
    parser.add_argument("--augmented", action="store_true", help=views)
    return parser


@dataclass(frozen=True)
class PassesOptions:
    """What ``two_passes.py`` measures.

    Attributes:
        network: network of the files.
        second: file of the second pass's network.
        target: bits of the static network whose bit operations are the limit.
        validation: number of training images that set the threshold.
        augmented: by randomly cropped and flipped views of them.
    """

    network: NetworkOptions
    second: Path
    target: int
    validation: int
    augmented: bool = False


def passes_options(args: Namespace) -> PassesOptions:
    """Networks and images that the options of ``two_passes.py`` choose."""
    return PassesOptions(
        network_options(args), resolved(args.second), args.target_bits, args.validation, args.augmented
    )
