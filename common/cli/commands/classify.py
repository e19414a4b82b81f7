"""The words of ``python -m lowbitzoo predict`` where a checkpoint is named."""

from common.cli import typed
from common.cli.option_parser import OptionParser

SUMMARY = "print the most likely classes of pictures"
_TOP = 5


def make_parser() -> OptionParser:
    """Checkpoint and pictures."""
    parser = OptionParser(
        f"{SUMMARY[0].upper()}{SUMMARY[1:]}, with the preprocessing and the classes of the checkpoint."
    )
    parser.prog = "python -m lowbitzoo predict"
    parser.add_argument("checkpoint", metavar="NAME_OR_FILE", help="registered name, or path of a checkpoint")
    parser.add_argument("images", nargs="+", type=typed.path, metavar="IMAGE", help="pictures, and folders of them")
    parser.add_argument("--top", type=typed.positive_int, default=_TOP, metavar="K", help="classes of each picture")
    parser.add_argument("--threads", type=typed.positive_int, metavar="N", help="that compute; default: all")
    return parser
