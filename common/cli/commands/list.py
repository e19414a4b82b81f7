"""A table of the registered checkpoints."""

from collections.abc import Sequence
from dataclasses import asdict

from common.cli.commands.words import command_parser
from common.cli.option_parser import OptionParser
from common.report import text_table
from common.zoo.registry import Entry, entries

SUMMARY = "print a table of the registered checkpoints"
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
    """No options but ``--help``."""
    return command_parser("list", SUMMARY, names=False)


def run(words: Sequence[str]) -> None:
    """Print the table."""
    make_parser().parse_args(words)
    print(text_table([_row(entry) for entry in entries().values()], _COLUMNS, _FORMATS))


def _row(entry: Entry) -> dict:
    accuracy, samples = entry.expected["accuracy"], entry.expected["samples"]
    return asdict(entry) | {"accuracy": None if accuracy is None else 100 * accuracy, "samples": samples}
