"""Pictures of a search: the bits of each layer over the steps, accuracy against weight storage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.quant.dorefa import MAX_BITS
from common.report import figure

Records = Sequence[Mapping[str, Any]]


def plot_bits(path: Path, names: Sequence[str], records: Records) -> None:
    """Draw the bits of each layer over the steps, weights on the left, activations on the right.

    Args:
        path: PNG file.
        names: names of the L layers.
        records: one per step, with ``step``, ``bits`` (L, 2), ``average_weight_bits``, ``average_activation_bits``.
    """
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


def plot_accuracy(path: Path, records: Records) -> None:
    """Draw the test accuracy of the steps against their weight storage.

    Args:
        path: PNG file.
        records: one per step, with ``step``, ``cost``, ``test_acc``, absent where a step was not tested.
    """
    picture = figure.new(7, 4.5)
    axes = picture.subplots()
    tested = [record for record in records if record.get("test_acc") is not None]
    axes.plot([r["cost"] for r in tested], [100 * r["test_acc"] for r in tested], "o-")
    for record in tested:
        axes.annotate(str(record["step"]), (record["cost"], 100 * record["test_acc"]), fontsize=7)
    label = "weight storage relative to float weights"
    axes.set(xlabel=label, ylabel="test accuracy, %", title="steps of the search")
    axes.grid(alpha=0.3)
    figure.save(picture, path)
