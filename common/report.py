"""What a run leaves behind: the result line, one JSON object, rows of a results file, tables to read."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
import platform
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.atomic_file import write_text
from common.config import as_dict
from common.errors import ConfigError, DataError, UserError

if TYPE_CHECKING:
    from common.evaluation import Metrics  # with MindSpore, which takes seconds to import

_NUMBERS = int | float | np.integer | np.floating


def result_line(metrics: Mapping[str, Any], checkpoint: str | Path) -> str:
    """The last line of every evaluation.

    >>> result_line({"acc": 0.9126, "samples": 10000}, "path")
    "result: {'acc': 0.9126, 'samples': 10000} ckpt= path"
    """
    body = ", ".join(f"{key!r}: {_metric(value)}" for key, value in metrics.items())
    return f"result: {{{body}}} ckpt= {checkpoint}"


def _metric(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4f}"
    return repr(_plain(value))


def finish(args: Namespace, metrics: Metrics, checkpoint: str | Path, record: Mapping[str, Any]) -> None:
    """End an evaluation: write the JSON object of ``--json`` and print the result line.

    Args:
        args: The resolved configuration.
        metrics: What was measured.
        checkpoint: What was evaluated.
        record: What the method adds: method, network, dataset, bits, cost.
    """
    result = metrics.result()
    if args.json:
        speed = {"seconds": metrics.seconds, "images_per_second": metrics.images_per_second}
        about = {"checkpoint": str(checkpoint), "seed": args.seed, "versions": versions(), "config": as_dict(args)}
        write_json(args.json, {**result, **record, **speed, **about})
    print(result_line(result, checkpoint))


def versions() -> dict[str, str]:
    """The versions a result depends on: python, mindspore, numpy and this project."""
    names = ("mindspore", "numpy", "lowbitzoo")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write_json(path: str | Path, record: Mapping[str, Any]) -> Path:
    """Write one JSON object, keys in their order, NumPy numbers and arrays as plain ones.

    Raises:
        UserError: If a number is NaN or infinite, which JSON cannot hold; nothing is written.
        ConfigError: If the file cannot be written.
        TypeError: If a value is of a kind that has no JSON form.
    """
    plain = _plain(record)
    where = _not_finite(plain, "")
    if where:
        raise UserError(f"{path} not written: expected finite numbers, found a NaN or infinite {where}")
    return write_text(path, json.dumps(plain, indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"expected text, numbers, lists and mappings in a report, found {type(value).__name__}")


def _not_finite(value: Any, name: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else name
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(filter(None, (_not_finite(item, f"{name}.{key}".lstrip(".")) for key, item in items)), None)


def replace_row(path: str | Path, key_fields: Sequence[str], row: Mapping[str, Any]) -> None:
    """Put ``row`` in the place of the one with the same ``key_fields``, or at the end if there is none.

    The whole row is replaced: a column that ``row`` does not name becomes empty, so that no figure of an older run
    stands beside those of a newer one.

    Raises:
        DataError: If the file is no CSV with a header.
        ConfigError: If it cannot be read or written.
    """
    columns, rows = _read_csv(Path(path))
    new = _cells(row)
    same = [all(old.get(key, "") == new[key] for key in key_fields) for old in rows]
    place = same.index(True) if True in same else len(rows)
    kept = [old for old, twin in zip(rows, same) if not twin]
    _write_csv(path, columns, [*kept[:place], new, *kept[place:]])


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file anew, whole or not at all.

    Raises:
        ConfigError: If it cannot be written.
    """
    _write_csv(path, [], [_cells(row) for row in rows])


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV file of results; none if there is no file.

    Raises:
        DataError: If the file is no CSV with a header.
        ConfigError: If it cannot be read.
    """
    return _read_csv(Path(path))[1]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {key: "" if value is None else str(_plain(value)) for key, value in row.items()}


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a CSV file of results, found an error: {error}; move it away") from None
    header, *rows = [line for line in lines if line] or [[]]
    if len(set(header)) != len(header) or any(len(line) > len(header) for line in rows):
        raise DataError(f"{path}: expected distinct columns and no row longer than the header; mend it or move it away")
    return header, [dict(zip(header, line)) for line in rows]


def _write_csv(path: str | Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    header = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def markdown_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    formats: Mapping[str, str] | None = None,
) -> str:
    """A table in Markdown; columns of numbers stand on the right, a missing value is ``-``.

    Args:
        rows: One mapping per line.
        columns: Keys to show, in order; a mapping gives each its title.
        formats: Format specifications by key, such as ``{"acc": ".2%"}``.
    """
    grid = _grid(rows, columns, formats, lambda text: " ".join(text.split()).replace("|", "\\|"))
    rule = ["---:" if right else "---" for right in _numeric(rows, columns)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [grid[0], rule, *grid[1:]])


def text_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    formats: Mapping[str, str] | None = None,
) -> str:
    """The table of :func:`markdown_table`, aligned with spaces for a terminal."""
    grid = _grid(rows, columns, formats, lambda text: " ".join(text.split()))
    widths = [max(map(len, column)) for column in zip(*grid)]
    pads = [str.rjust if right else str.ljust for right in _numeric(rows, columns)]
    lines = [grid[0], ["-" * width for width in widths], *grid[1:]]
    return "\n".join("  ".join(pad(*cell) for pad, *cell in zip(pads, line, widths)).rstrip() for line in lines)


def _grid(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    formats: Mapping[str, str] | None,
    clean: Callable[[str], str],
) -> list[list[str]]:
    titles = list(columns.values() if isinstance(columns, Mapping) else columns)
    specs = [(key, (formats or {}).get(key, "")) for key in columns]
    body = [["-" if row.get(key) is None else format(row[key], spec) for key, spec in specs] for row in rows]
    return [[clean(text) for text in line] for line in [titles, *body]]


def _numeric(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str]) -> list[bool]:
    return [all(isinstance(row.get(key), _NUMBERS | None) for row in rows) for key in columns]
