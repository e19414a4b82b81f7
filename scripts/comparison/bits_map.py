"""A picture of the bits of every layer: networks by layers, weights beside activations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from common.report import figure

_LARGEST = 8  # more bits have the colour of these


def draw(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Write the picture of the networks that are quantized; a cell shows its number, fractions rounded."""
    quantized = [row for row in rows if row["budget"] != "32"]
    if not quantized:
        figure.save(figure.new(6, 1), path)
        return
    bits = [list(json.loads(row["layers"]).values()) for row in quantized]
    width = max(map(len, bits))
    picture = figure.new(max(6.0, 0.5 * width + 2.5), 0.26 * len(quantized) + 1.4)
    names = [f"{row['method']} {row['budget']}" for row in quantized]
    for axes, title, kind in zip(picture.subplots(1, 2, sharey=True), ("weights", "activations"), (0, 1)):
        values = np.full((len(bits), width), np.nan)
        for i, layers in enumerate(bits):
            values[i, : len(layers)] = [layer[kind] for layer in layers]
        _panel(axes, values, names, title)
    figure.save(picture, path)


def _panel(axes, values: np.ndarray, names: Sequence[str], title: str) -> None:
    axes.imshow(values, cmap="viridis", vmin=0, vmax=_LARGEST, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > _LARGEST * 0.6 else "white"
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6, color=colour)
    axes.set(title=f"bits of {title}", xlabel="layer", yticks=range(len(names)))
    axes.set_yticklabels(names, fontsize="small")
    axes.set_xticks(range(0, values.shape[1], 2), range(1, values.shape[1] + 1, 2), fontsize="small")
