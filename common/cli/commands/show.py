"""All that is known of registered checkpoints, as YAML."""

from collections.abc import Sequence
from dataclasses import asdict

import yaml

from common.cli.commands.words import command_parser, named_entries
from common.cli.option_parser import OptionParser
from common.zoo.store import path_of

SUMMARY = "print all that is known of each NAME, and where its file is or belongs"


def make_parser() -> OptionParser:
    """The names alone."""
    return command_parser("show", SUMMARY)


def run(words: Sequence[str]) -> None:
    """Print a YAML document for each entry."""
    for entry in named_entries(make_parser().parse_args(words)):
        path = path_of(entry)
        print(yaml.safe_dump(asdict(entry) | {"path": path and str(path)}, sort_keys=False, allow_unicode=True))
