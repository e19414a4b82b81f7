"""Tables to read, in Markdown and for a terminal, laid out by tabulate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

_NUMBERS = int | float | np.integer | np.floating
_BARE = TableFormat(None, None, None, None, None, DataRow("", "  ", ""), padding=0, with_header_hide=None)
_TEXT = _BARE._replace(linebelowheader=Line("", "-", "  ", ""))
_MARKDOWN = _BARE._replace(datarow=DataRow("| ", " | ", " |"))


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
    titles, *body = [[text.replace("|", "\\|") for text in line] for line in _grid(rows, columns, formats)]
    rule = ["---:" if right else "---" for right in _numeric(rows, columns)]
    return tabulate([titles, rule, *body], tablefmt=_MARKDOWN, disable_numparse=True, stralign=None)  # not padded


def text_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    formats: Mapping[str, str] | None = None,
) -> str:
    """The table of :func:`markdown_table`, aligned with spaces for a terminal."""
    titles, *body = _grid(rows, columns, formats)
    sides = ["right" if right else "left" for right in _numeric(rows, columns)]
    # Titles as a row: as headers, tabulate would make each column two characters wider than its title.
    return tabulate([titles, SEPARATING_LINE, *body], tablefmt=_TEXT, disable_numparse=True, colalign=sides)


def _grid(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    formats: Mapping[str, str] | None,
) -> list[list[str]]:
    titles = list(columns.values() if isinstance(columns, Mapping) else columns)
    specs = [(key, (formats or {}).get(key, "")) for key in columns]
    body = [["-" if row.get(key) is None else format(row[key], spec) for key, spec in specs] for row in rows]
    return [[" ".join(text.split()) for text in line] for line in [titles, *body]]


def _numeric(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str]) -> list[bool]:
    return [all(isinstance(row.get(key), _NUMBERS | None) for row in rows) for key in columns]
