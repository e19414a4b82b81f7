"""Comparison of two folders, bit by bit, but for what says when and how fast something was."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common import checkpoint

# What may differ, by name: measured times, and the order in which jobs that run at once come to an end.
TIMES = (
    "seconds",
    "images_per_second",
    "stages",
    "speed",
    "date",
    "time",
    "images/s",
    "s",
    "time s",
    "seconds to produce",
)
# MindSpore's value of the loss, not its gradient, may differ in the last bit with the alignment of its buffers.
LAST_BIT = ("loss", "validation_loss", "test_loss", "before", "after")
_LAST_BIT = 1e-5
_LOCK = ".lock"  # files that stay so that no two processes take the same name for free


class Ending:
    """What differs between two folders.

    Attributes:
        faults: differences that must not be, one text each.
        allowed: names of values that differ and may.
    """

    def __init__(self, straight: Path, killed: Path):
        self.faults: list[str] = []
        self.allowed: set[str] = set()
        self._differences = 0
        names = [{path.relative_to(root).as_posix() for path in _files(root)} for root in (straight, killed)]
        self.faults += [f"{name}: missing" for name in sorted(names[0] - names[1])]
        self.faults += [f"{name}: left behind" for name in sorted(names[1] - names[0])]
        for name in sorted(names[0] & names[1]):
            self._compare_files(name, straight / name, killed / name)

    def _compare_files(self, name: str, one: Path, other: Path) -> None:
        if one.read_bytes() == other.read_bytes():
            return
        reader = _READERS.get(one.suffix)
        if one.suffix == ".png":
            self._compare_pictures(name, one, other)
        elif reader is None:
            self.faults.append(f"{name}: differs")
        else:
            before = self._differences
            self._compare(name, "", reader(one), reader(other))
            if self._differences == before:
                self._add_fault(f"{name}: differs in its bytes, not in its values")

    def _compare_pictures(self, name: str, one: Path, other: Path) -> None:
        from PIL import Image

        pixels = [np.asarray(Image.open(path).convert("RGB"), np.int32) for path in (one, other)]
        if pixels[0].shape != pixels[1].shape:
            self.faults.append(f"{name}: differs in size")
        elif (pixels[0] != pixels[1]).any():
            self.allowed.add(f"pixels of {Path(name).name}")  # of values that are compared in other files

    def _compare(self, where: str, key: str, one: Any, other: Any) -> None:
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            for name in sorted(set(one) | set(other)):
                self._compare(f"{where}/{name}", name, one.get(name), other.get(name))
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and key not in TIMES:
            for number, pair in enumerate(zip(one, other)):
                self._compare(f"{where}/{number}", key, *pair)
        elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            if one.dtype != other.dtype or one.tobytes() != other.tobytes():
                count = int(np.sum(one != other)) if one.shape == other.shape else "all"
                self._add_fault(f"{where}: {count} numbers differ")
        elif one != other:
            self._differs(where, key, one, other)

    def _differs(self, where: str, key: str, one: Any, other: Any) -> None:
        numbers = all(isinstance(value, float) for value in (one, other))
        if any(part in TIMES for part in where.split("/")):
            self._allow(key if key in TIMES else where.rpartition("/")[0].rpartition("/")[2])
        elif key in LAST_BIT and numbers and abs(one - other) <= _LAST_BIT * abs(one):
            self._allow(f"last bits of {key}")
        else:
            self._add_fault(f"{where}: {str(one)[:40]} and {str(other)[:40]}")

    def _add_fault(self, text: str) -> None:
        self._differences += 1
        self.faults.append(text)

    def _allow(self, name: str) -> None:
        self._differences += 1
        self.allowed.add(name)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.is_dir() and path.suffix != _LOCK]


def _checkpoint(path: Path) -> dict[str, Any]:
    stored = checkpoint.load(path)
    return {"tensors": stored.tensors, "metadata": stored.metadata}


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows; those of results in the order of their networks, for jobs that run at once end in any order."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    return sorted(rows, key=lambda row: [row.get(name, "") for name in ("dataset", "method", "budget", "seed")])


def _table(path: Path) -> list[dict[str, str]]:
    """The rows of a Markdown table by the words of its head."""
    cells = [[cell.strip() for cell in line.split("|")] for line in path.read_text(encoding="utf-8").splitlines()]
    return [dict(zip(cells[0], row)) for row in cells[2:] if len(row) == len(cells[0])]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


_READERS: dict[str, Callable[[Path], Any]] = {
    ".ckpt": _checkpoint,
    ".jsonl": _lines,
    ".json": _json,
    ".csv": _rows,
    ".md": _table,
}
