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
    """Draw the validation accuracy of the steps, and the test accuracy of the last, against their weight storage.

    Args:
        path: PNG file.
        records: one per step, with ``step``, ``cost``, ``validation_acc`` where there are validation images, and
            ``test_acc`` where a search has ended.
    """
    picture = figure.new(7, 4.5)
    axes = picture.subplots()
    for word, style in (("validation", "o-"), ("test", "s")):
        key = f"{word}_acc"
        points = [(record["cost"], 100 * record[key], record["step"]) for record in records if key in record]
        if points:
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], style, label=word)
        for x, y, step in points:
            axes.annotate(str(step), (x, y), fontsize=7)
    if axes.lines:
        axes.legend()
    missing = "" if any("validation_acc" in record for record in records) else ", measured with --validation N alone"
    label = "weight storage relative to float weights"
    axes.set(xlabel=label, ylabel="accuracy, %", title=f"steps of the search{missing}")
    axes.grid(alpha=0.3)
    figure.save(picture, path)
