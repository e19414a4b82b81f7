"""Effect of quantization on each layer, as a table, a CSV file and a bar plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import report
from common.report import figure

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


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """The text table, one line per layer."""
    return report.text_table(records, COLUMNS, _FORMATS)


def write(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write ``layers.csv`` and ``layers.png`` to a folder.

    Raises:
        ConfigError: a file cannot be written.
    """
    report.write_rows(folder / "layers.csv", records)
    _plot(folder / "layers.png", records)


def _plot(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    picture = figure.new(max(6, 0.35 * len(records)), 6)
    axes, places = picture.subplots(2, 1, sharex=True), range(len(records))
    axes[0].bar(places, [100 * record["error"] for record in records], color="tab:red")
    axes[0].set_ylabel("error of the output, %")
    axes[1].bar(places, [record["sqnr_db"] for record in records], color="tab:blue")
    axes[1].set_ylabel("SQNR, dB")
    axes[1].set_xticks(places, [record["layer"] for record in records], rotation=90)
    figure.save(picture, path)
