"""Print one table of several evaluations, each the JSON object that ``eval.py --json`` wrote."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.cli.entry_point import entry_point
from common.errors import DataError, UserError
from common.report import text_table

COLUMNS = {
    "method": "method",
    "network": "network",
    "dataset": "data",
    "bits": "bits",
    "acc": "top-1 %",
    "samples": "samples",
    "model_bytes": "model bytes",
    "average_weight_bits": "average bits",
    "images_per_second": "images/s",
}
FORMATS = {"acc": ".2f", "model_bytes": ",", "average_weight_bits": ".2f", "images_per_second": ".0f"}


def read_row(path: Path) -> dict[str, Any]:
    """The cells of one line; what the object does not name at its top is sought in its cost and configuration.

    Raises:
        DataError: If the file does not hold one JSON object with a method and an accuracy.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected the JSON of an evaluation, found an error: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("acc"), float | int) or "method" not in record:
        raise DataError(f"{path}: expected a JSON object with method and acc, found something else; run eval.py anew")
    values = {}
    for part in (record.get("config"), record.get("cost"), record, {"acc": 100 * record["acc"]}):
        values.update(part if isinstance(part, dict) else {})
    return {key: _cell(values.get(key), key in FORMATS) for key in COLUMNS}


def _cell(value: Any, number: bool) -> Any:
    if number:
        return value if isinstance(value, float | int) else None
    return value if value is None or isinstance(value, int) else str(value)


@entry_point
def main(paths: Sequence[str]) -> None:
    """Print the table of the given files, in their order."""
    if not paths:
        raise UserError("expected the JSON files of evaluations, found none; usage: quickstart_table.py FILE...")
    rows = [read_row(Path(path)) for path in paths]
    print(text_table(rows, COLUMNS, FORMATS))


if __name__ == "__main__":
    main(sys.argv[1:])
