"""The words after a command: its parser, and names of registered checkpoints among them."""

from argparse import Namespace

from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.zoo.registry import Entry, find


def command_parser(command: str, summary: str, names: bool = True) -> OptionParser:
    """A parser for the words after ``python -m lowbitzoo COMMAND``; with ``names``, any number of them."""
    parser = OptionParser(summary)
    parser.prog = f"python -m lowbitzoo {command}"
    if names:
        parser.add_argument("names", nargs="*", metavar="NAME", help="names of checkpoints; python -m lowbitzoo list")
    return parser


def named_entries(args: Namespace) -> list[Entry]:
    """The entries that ``names`` ask for.

    Raises:
        ConfigError: no name is given, or one is not registered.
    """
    if not args.names:
        raise ConfigError("expected at least one NAME, found none; python -m lowbitzoo list")
    return [find(name) for name in args.names]
