"""The picture of what quantization did to each layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.report import figure


def plot_layers(path: Path, records: Sequence[Mapping[str, Any]], not_tested: str) -> None:
    """Draw the error of each layer's output and its SQNR as bars, and the test accuracy after it as a curve.

    Args:
        path: PNG file.
        records: one of each layer, with ``layer``, ``error``, ``sqnr_db``, and ``test_acc`` where it was tested.
        not_tested: title in place of the curve where no layer was tested.

    Raises:
        ConfigError: the file cannot be written.
    """
    tested = [(place, 100 * record["test_acc"]) for place, record in enumerate(records) if "test_acc" in record]
    rows = 3 if tested else 2
    picture = figure.new(max(6, 0.35 * len(records)), 3 * rows)
    axes, places = picture.subplots(rows, 1, sharex=True), range(len(records))
    axes[0].bar(places, [100 * record["error"] for record in records], color="tab:red")
    axes[0].set_ylabel("error of the output, %")
    axes[1].bar(places, [record["sqnr_db"] for record in records], color="tab:blue")
    axes[1].set_ylabel("SQNR, dB")
    if tested:
        axes[2].plot(*zip(*tested), marker=".")
        axes[2].set_ylabel("test accuracy, %")
    else:
        axes[0].set_title(not_tested, fontsize=9)
    axes[-1].set_xticks(places, [record["layer"] for record in records], rotation=90)
    figure.save(picture, path)
