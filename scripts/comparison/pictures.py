"""Pictures of a comparison: accuracy against bytes, against bit operations, and the bits of every layer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.report import figure

_AXES = {"file_bytes": "bytes on disk", "bit_operations": "bit operations of an image"}


NAMES = ("accuracy_bytes.png", "accuracy_operations.png", "bits.png")


def draw(rows: Sequence[Mapping[str, str]], folder: Path, prefix: str = "") -> None:
    """Write the pictures of ``NAMES`` with a prefix."""
    paths = [folder / f"{prefix}{name}" for name in NAMES]
    for column, path in zip(_AXES, paths):
        _accuracy(rows, column, path)
    _bits(rows, paths[-1])


def _accuracy(rows: Sequence[Mapping[str, str]], column: str, path: Path) -> None:
    picture = figure.new(6, 4)
    axes = picture.subplots()
    for method in dict.fromkeys(row["method"] for row in rows):
        drawn = sorted(
            (float(row[column]), float(row["top1"]), row["budget"]) for row in rows if row["method"] == method
        )
        x, y, budgets = zip(*drawn)
        axes.plot(x, y, "o-", label=method)
        for at in zip(x, y, budgets):
            axes.annotate(at[2], at[:2], textcoords="offset points", xytext=(4, 4), fontsize="small")
    axes.set(xscale="log", xlabel=_AXES[column], ylabel="top-1 %")
    if rows:
        axes.legend(fontsize="small")
    figure.save(picture, path)


def _bits(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Bits of weights of the layers between the first and the last, in their order."""
    quantized = [row for row in rows if row["method"] != "float"]
    picture = figure.new(7, 4)
    axes = picture.subplots()
    for row in quantized:
        bits = [weights for weights, _ in json.loads(row["layers"]).values()][1:-1]
        axes.plot(range(1, len(bits) + 1), bits, "o-", markersize=3, label=f"{row['method']} {row['budget']}")
    axes.set(xlabel="layer", ylabel="bits of weights", ylim=(0, 9))
    if quantized:
        axes.legend(fontsize="x-small", ncols=2)
    figure.save(picture, path)
