"""The picture of a sensitivity: rise of the loss by layer and bits."""

from pathlib import Path

import numpy as np

from common.evaluation.sensitivity import KINDS, Sensitivity
from common.report import figure

_LEAST = 1e-4  # of a rise that is drawn


def plot(found: Sensitivity, path: Path) -> None:
    """Write two maps, of weights and of inputs: a row for each layer, a column for each width.

    Raises:
        ConfigError: the file cannot be written.
    """
    names, widths = list(found.layers), sorted({entry.bits for entry in found.entries}, reverse=True)
    maps = {kind: np.zeros((len(names), len(widths))) for kind in KINDS}
    for entry in found.entries:
        maps[entry.kind][names.index(entry.layer), widths.index(entry.bits)] = entry.rise
    drawn = figure.new(9, 1.5 + 0.22 * len(names))
    axes = drawn.subplots(1, 2, sharey=True)
    shades = {kind: np.log10(np.maximum(values, _LEAST)) for kind, values in maps.items()}
    low, high = np.log10(_LEAST), max(float(shade.max()) for shade in shades.values())
    for axis, kind in zip(axes, KINDS):
        image = axis.imshow(shades[kind], aspect="auto", vmin=low, vmax=max(high, low + 1), cmap="viridis")
        axis.set_xticks(range(len(widths)), [str(width) for width in widths])
        axis.set_xlabel(f"bits of {kind}")
    axes[0].set_yticks(range(len(names)), names, fontsize=7)
    drawn.colorbar(image, ax=axes, label="log10 of the rise of the loss")
    figure.save(drawn, path)
