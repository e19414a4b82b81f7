"""Effect of quantization on each layer, as a table and a CSV file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import report
from LDNQ.plots import plot_layers

COLUMNS = {
    "layer": "layer",
    "weights": "weights",
    "error": "output error",
    "sqnr_db": "SQNR dB",
    "match_before": "loss before",
    "match_after": "loss after",
    "test_acc": "test %",
    "seconds": "s",
}
_FORMATS = {"error": ".2%", "sqnr_db": ".1f", "match_before": ".3f", "match_after": ".3f", "test_acc": ".2%"}


NOT_TESTED = "test accuracy after each layer: not measured; give --test_layers"


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """The text table, one line per layer; a last one says so where no layer was tested."""
    if any("test_acc" in record for record in records):
        return report.text_table(records, COLUMNS, _FORMATS)
    columns = {key: title for key, title in COLUMNS.items() if key != "test_acc"}
    return f"{report.text_table(records, columns, _FORMATS)}\n{NOT_TESTED}"


def write(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write ``layers.csv`` and ``layers.png`` to a folder.

    Raises:
        ConfigError: a file cannot be written.
    """
    report.write_rows(folder / "layers.csv", records)
    plot_layers(folder / "layers.png", records, NOT_TESTED)
