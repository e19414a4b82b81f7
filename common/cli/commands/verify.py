"""Comparing the files of checkpoints with their registered sha256."""

from collections.abc import Sequence

from common.cli.commands.words import command_parser, named_entries
from common.cli.option_parser import OptionParser
from common.errors import CheckpointError
from common.zoo.registry import Entry, entries
from common.zoo.store import fault_of, path_of

SUMMARY = "compare sha256 and file, of each NAME or of all that are here; exit status 2 on a fault"


def make_parser() -> OptionParser:
    """The names alone."""
    return command_parser("verify", SUMMARY)


def run(words: Sequence[str]) -> None:
    """Print a verdict a line.

    Raises:
        CheckpointError: at least one file is not the registered one.
    """
    args = make_parser().parse_args(words)
    chosen = named_entries(args) if args.names else list(entries().values())
    verdicts = {entry.name: _verdict(entry, named=bool(args.names)) for entry in chosen}
    for name, (verdict, _) in verdicts.items():
        print(f"{name}: {verdict}")
    faults = {name: verdict for name, (verdict, wrong) in verdicts.items() if wrong}
    if faults:
        name, fault = next(iter(faults.items()))
        raise CheckpointError(
            f"{len(faults)} of {len(chosen)} files are not the registered ones, first {name}: {fault}"
        )


def _verdict(entry: Entry, named: bool) -> tuple[str, bool]:
    """The verdict on a file, and whether it is a fault; a file that is only not fetched is none unless it is named."""
    path = path_of(entry)
    if not named and not entry.shipped and (path is None or not path.is_file()):
        return "not here", False
    fault = fault_of(entry)
    return fault or "right", fault is not None
