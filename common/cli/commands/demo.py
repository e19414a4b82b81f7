"""The words of ``python -m lowbitzoo demo``: a page of float and low-bit networks side by side."""

from common.cli import typed
from common.cli.option_parser import OptionParser

SUMMARY = "open a page that shows what float and low-bit networks say of your pictures"
_PORT = 7860


def make_parser() -> OptionParser:
    """Networks, and where the page is served."""
    parser = OptionParser(f"{SUMMARY[0].upper()}{SUMMARY[1:]}; it works offline, on this machine alone.")
    parser.prog = "python -m lowbitzoo demo"
    what = "registered names, or paths of checkpoints; default: all that are on this machine"
    parser.add_argument("networks", nargs="*", metavar="NAME_OR_FILE", help=what)
    where = "address to listen at; 0.0.0.0 lets other machines in, which nothing asks for a password"
    parser.add_argument("--host", default="127.0.0.1", help=where)
    parser.add_argument("--port", type=typed.int_range(1, 65535), default=_PORT, help="port to listen at")
    parser.add_argument("--threads", type=typed.positive_int, metavar="N", help="that compute; default: all")
    return parser


def run(words: list[str]) -> None:
    """What the command is without what computes: its help."""
    make_parser().parse_args(words)
