"""The picture of what quantization did to each layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.report import figure


def plot_layers(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw the error of each layer's output and its SQNR as bars.

    Args:
        path: PNG file.
        records: one of each layer, with ``layer``, ``error`` and ``sqnr_db``.

    Raises:
        ConfigError: the file cannot be written.
    """
    picture = figure.new(max(6, 0.35 * len(records)), 6)
    axes, places = picture.subplots(2, 1, sharex=True), range(len(records))
    axes[0].bar(places, [100 * record["error"] for record in records], color="tab:red")
    axes[0].set_ylabel("error of the output, %")
    axes[1].bar(places, [record["sqnr_db"] for record in records], color="tab:blue")
    axes[1].set_ylabel("SQNR, dB")
    axes[1].set_xticks(places, [record["layer"] for record in records], rotation=90)
    figure.save(picture, path)
