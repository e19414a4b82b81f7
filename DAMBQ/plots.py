"""The picture of an allocation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.report import figure
from DAMBQ.tables import MAX_BITS


def plot_bits(history: Sequence[Mapping[str, Any]], layers: Sequence[str], path: Path) -> None:
    """Draw the mean bits of each layer over the epochs: one map for weights, one for activations.

    Args:
        history: a record of :meth:`DAMBQ.allocation.Allocator.report` per epoch, with ``epoch``.
        layers: names from top to bottom.
        path: PNG file.
    """
    picture = figure.new(12, 1.5 + 0.22 * len(layers))
    for axes, kind in zip(picture.subplots(1, 2, sharey=True), ("weights", "activations")):
        bits = [[record[f"{kind}_bits_of_layers"][name] for record in history] for name in layers]
        edges = (history[0]["epoch"] - 0.5, history[-1]["epoch"] + 0.5, len(layers) - 0.5, -0.5)
        image = axes.imshow(bits, aspect="auto", extent=edges, vmin=0, vmax=MAX_BITS, cmap="viridis")
        axes.set(xlabel="epoch", title=f"{kind}: {history[-1][f'{kind}_bits']:.3f} bits on average at the end")
        axes.set_yticks(range(len(layers)), layers)
    picture.colorbar(image, ax=axes, label="mean bits")
    figure.save(picture, path)
