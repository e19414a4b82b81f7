"""Rows of a CSV file of results."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError
from common.files.atomic_file import write_text
from common.report.plain import plain


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
    return {key: "" if value is None else str(plain(value)) for key, value in row.items()}


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
