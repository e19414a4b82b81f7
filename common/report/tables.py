"""Tables to read, in Markdown and for a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_NUMBERS = int | float | np.integer | np.floating


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
