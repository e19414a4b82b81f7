"""List, show, download and verify the registered checkpoints: ``python -m lowbitzoo COMMAND [NAME...]``.

========  ===================================================================================
list      a table of them
show      all that is known of each NAME, and where its file is or belongs
download  fetch each NAME into the cache and print its path
verify    compare sha256 and file, of each NAME or of all that are here; exit status 2 on a fault
========  ===================================================================================
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

import yaml

from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import CheckpointError, ConfigError
from common.report import text_table
from common.zoo.download import download
from common.zoo.locate import locate
from common.zoo.registry import Entry, entries, find
from common.zoo.store import fault_of, path_of

_COLUMNS = {
    "name": "name",
    "method": "method",
    "network": "network",
    "dataset": "data",
    "bits": "bits",
    "accuracy": "top-1 %",
    "samples": "N",
    "size": "bytes",
    "source": "source",
}
_FORMATS = {"accuracy": ".2f", "size": ",", "samples": ",", "name": "", "bits": ""}


def make_parser() -> OptionParser:
    """Options of this program."""
    parser = OptionParser("List, show, download or verify the registered checkpoints.")
    parser.add_argument("command", choices=list(_COMMANDS), help="what to do")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of checkpoints")
    parser.add_argument("--mirrors", nargs="*", metavar="URL|DIR", help="where to fetch from, tried in order")
    parser.add_argument(
        "--allow_unverified", action="store_true", help="download what has no registered sha256, print that found"
    )
    return parser


def _list(found: Sequence[Entry], args: Namespace) -> None:
    rows = []
    for entry in found:
        accuracy, samples = entry.expected["accuracy"], entry.expected["samples"]
        rows.append(asdict(entry) | {"accuracy": None if accuracy is None else 100 * accuracy, "samples": samples})
    print(text_table(rows, _COLUMNS, _FORMATS))


def _show(found: Sequence[Entry], args: Namespace) -> None:
    for entry in found:
        path = path_of(entry)
        print(yaml.safe_dump(asdict(entry) | {"path": path and str(path)}, sort_keys=False, allow_unicode=True))


def _download(found: Sequence[Entry], args: Namespace) -> None:
    for entry in found:
        unverified = args.allow_unverified and not entry.embedded
        print(download(entry, args.mirrors, True) if unverified else locate(entry.name, args.mirrors))


def _verify(found: Sequence[Entry], args: Namespace) -> None:
    faults = {}
    for entry in found:
        path = path_of(entry)
        if not args.names and not entry.embedded and (path is None or not path.is_file()):
            print(f"{entry.name}: not here")
            continue
        fault = fault_of(entry)
        if fault:
            faults[entry.name] = fault
        print(f"{entry.name}: {fault or 'right'}")
    if faults:
        name, fault = next(iter(faults.items()))
        raise CheckpointError(f"{len(faults)} of {len(found)} files are not the registered ones, first {name}: {fault}")


_COMMANDS = {"list": _list, "show": _show, "download": _download, "verify": _verify}
_NEED_NAMES = ("show", "download")


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    """Run one command."""
    args = make_parser().parse_args(argv)
    if args.command in _NEED_NAMES and not args.names:
        raise ConfigError(f"{args.command}: expected at least one NAME, found none; python -m lowbitzoo list")
    found = [find(name) for name in args.names] or list(entries().values())
    _COMMANDS[args.command](found, args)


if __name__ == "__main__":
    main()
