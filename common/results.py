"""Recorded results of a method: rows of a CSV file that a script adds to and the README's tables are made of."""

import statistics
import threading
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import report
from common.config import OptionParser
from common.errors import ConfigError


class Results:
    """The rows of a results file; one row for each combination of its keys.

    Args:
        path: CSV file, made with the first row.
        keys: columns that tell rows apart.
    """

    def __init__(self, path: Path, keys: Sequence[str]):
        self.path, self.keys, self._lock = path, tuple(keys), threading.Lock()

    def rows(self) -> list[dict[str, str]]:
        """All rows, none if there is no file yet."""
        return report.read_rows(self.path)

    def has(self, key: Mapping[str, Any]) -> bool:
        """Whether a row has these values; None is an empty cell, as :meth:`put` writes it."""
        cells = {name: "" if value is None else str(value) for name, value in key.items()}
        return any(all(row.get(name) == cell for name, cell in cells.items()) for row in self.rows())

    def put(self, row: Mapping[str, Any]) -> None:
        """Write a row in the place of the one with the same keys; keys that it lacks stay empty.

        Threads may do so at once.
        """
        with self._lock:
            report.replace_row(self.path, self.keys, {**dict.fromkeys(self.keys), **row})


def add_test_sets(parser: OptionParser, name: str) -> None:
    """The options that name test images: ``--name`` of those in ``--dataset_path``, and further ones."""
    parser.add_argument("--name", default=name, help="of these images in results.csv")
    parser.add_argument("--also_eval", nargs="*", default=[], metavar="NAME=DIR", help="further test images")


def test_sets(args: Namespace) -> dict[str, str]:
    """Folders of test images by their names.

    Raises:
        ConfigError: a further one that is not written as NAME=DIR.
    """
    pairs = [pair.partition("=")[::2] for pair in args.also_eval]
    if not all(name and folder for name, folder in pairs):
        raise ConfigError(f"also_eval: expected NAME=DIR, found {' '.join(args.also_eval)}")
    return {args.name: args.dataset_path, **dict(pairs)}


test_sets.__test__ = False  # no test, though its name begins like one


def mean(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds, as the tables show them."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
