"""What a search leaves to read: search_log.csv, the bits of each layer over the steps, accuracy against cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import report
from common.quant.dorefa import MAX_BITS
from common.report import figure

LOG = "search_log.csv"
_COLUMNS = (
    "step",
    "score",
    "cost",
    "compute_cost",
    "average_weight_bits",
    "average_activation_bits",
    "acc",
    "test_acc",
)


def write_log(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write search_log.csv: a row per step with its bits of weights and of activations, layer by layer."""
    rows = []
    for record in records:
        bits = np.array(record["bits"])
        row = {key: _number(record.get(key)) for key in _COLUMNS}
        row["weight_bits"], row["activation_bits"] = (" ".join(map(str, bits[:, column])) for column in (0, 1))
        rows.append(row)
    report.write_rows(folder / LOG, rows)


def _number(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def plot(folder: Path, names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> None:
    """Draw bits.png (bits of each layer over the steps) and accuracy.png (test accuracy against weight storage)."""
    _plot_bits(folder / "bits.png", names, records)
    _plot_accuracy(folder / "accuracy.png", records)


def _plot_bits(path: Path, names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> None:
    bits = np.array([record["bits"] for record in records])  # (steps, L, 2)
    steps = [record["step"] for record in records]
    picture = figure.new(12, 1.5 + 0.22 * len(names))
    edges = (steps[0] - 0.5, steps[-1] + 0.5, len(names) - 0.5, -0.5)
    for axes, column, kind in zip(picture.subplots(1, 2, sharey=True), (0, 1), ("weight", "activation")):
        image = axes.imshow(bits[:, :, column].T, aspect="auto", extent=edges, vmin=0, vmax=MAX_BITS)
        mean = records[-1][f"average_{kind}_bits"]
        axes.set(xlabel="step", title=f"{kind} bits: {mean:.3f} on average at the end")
        axes.set_yticks(range(len(names)), names)
    picture.colorbar(image, ax=axes, label="bits")
    figure.save(picture, path)


def _plot_accuracy(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    picture = figure.new(7, 4.5)
    axes = picture.subplots()
    tested = [record for record in records if record.get("test_acc") is not None]
    axes.plot([r["cost"] for r in tested], [100 * r["test_acc"] for r in tested], "o-")
    for record in tested:
        axes.annotate(str(record["step"]), (record["cost"], 100 * record["test_acc"]), fontsize=7)
    axes.set(xlabel="weight storage by that of float weights", ylabel="test accuracy, %", title="steps of the search")
    axes.grid(alpha=0.3)
    figure.save(picture, path)
