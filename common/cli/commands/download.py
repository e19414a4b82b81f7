"""Fetching registered checkpoints into the cache."""

from collections.abc import Sequence

from common.cli.commands.words import command_parser, named_entries
from common.cli.option_parser import OptionParser
from common.cli.typed import positive_int
from common.zoo.download import MAX_BYTES, download
from common.zoo.locate import locate

SUMMARY = "fetch each NAME into the cache and print its path"


def make_parser() -> OptionParser:
    """Names, and where to fetch from."""
    parser = command_parser("download", SUMMARY)
    parser.add_argument(
        "--mirrors", nargs="*", metavar="URL|DIR", help="addresses or folders to fetch from, tried in order"
    )
    parser.add_argument(
        "--allow_unverified",
        action="store_true",
        help="accept a file that has no registered sha256, and print the sha256 of what came",
    )
    parser.add_argument(
        "--max_bytes", type=positive_int, default=MAX_BYTES, metavar="N", help="of a file whose size is not registered"
    )
    return parser


def run(words: Sequence[str]) -> None:
    """Fetch what is not here; print a path a line."""
    args = make_parser().parse_args(words)
    for entry in named_entries(args):
        unverified = args.allow_unverified and not entry.shipped
        taken = download(entry, args.mirrors, True, args.max_bytes) if unverified else locate(entry.name, args.mirrors)
        print(taken)
