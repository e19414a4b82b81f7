"""The options of ``eval.py`` that put activations on grids, and the value that they make."""

from argparse import Namespace
from dataclasses import dataclass

from common.cli import typed
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from LDNQ.quant_config import ACT_BITS, PACKED_ACT_BITS


def add_activations(parser: OptionParser) -> OptionParser:
    """The options of activations on grids."""
    group = parser.add_argument_group("activations")
    bits = "bits of activations: 8 make another network, 16 keep its function; default: those of the file, else float"
    group.add_argument("--act_bits", type=int, choices=ACT_BITS, help=bits)
    number = "number of training images that clips are calibrated with"
    group.add_argument("--act_images", type=typed.positive_int, default=512, metavar="N", help=number)
    file = "file to write the network with its 8-bit clips to; it then needs no training images"
    group.add_argument("--save_checkpoint", type=typed.path, metavar="FILE", help=file)
    return parser


@dataclass(frozen=True)
class ActivationOptions:
    """Activations of a network that is evaluated.

    Attributes:
        bits: 8 or 16; None: float.
        images: number of training images that clips are calibrated with.
        seed: of their choice.
    """

    bits: int | None
    images: int
    seed: int


def activation_options(args: Namespace) -> ActivationOptions:
    """What the options of activations say.

    Raises:
        ConfigError: a file is to be written of a network that files cannot hold, or that one holds already.
    """
    if args.save_checkpoint and args.act_bits != PACKED_ACT_BITS:
        wanted = f"--act_bits {PACKED_ACT_BITS}, whose clips a file can hold"
        raise ConfigError(f"save_checkpoint: expected it with {wanted}, found {args.act_bits or 'no --act_bits'}")
    return ActivationOptions(args.act_bits, args.act_images, args.seed)
