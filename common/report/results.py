"""Recorded results of a method: rows of a CSV file that a script adds to and the README's tables are made of."""

import statistics
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import report


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


def mean(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds, as the tables show them."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
