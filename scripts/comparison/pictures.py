"""Pictures of a comparison: accuracy against bytes, bit operations and speed, and the bits of every layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.report import figure
from comparison import bits_map

_AXES = {
    "accuracy_bytes.png": ("file_bytes", "bytes on disk"),
    "accuracy_operations.png": ("bit_operations", "bit operations of an image"),
    "accuracy_speed.png": ("images_per_second", "images per second"),
}
NAMES = (*_AXES, "bits.png")
_MARKERS = "osD^vP*X"


def draw(rows: Sequence[Mapping[str, str]], folder: Path, prefix: str = "") -> None:
    """Write the pictures of ``NAMES`` with a prefix."""
    for name, (column, title) in _AXES.items():
        _accuracy([row for row in rows if row[column]], column, title, folder / f"{prefix}{name}")
    bits_map.draw(rows, folder / f"{prefix}bits.png")


def _accuracy(rows: Sequence[Mapping[str, str]], column: str, title: str, path: Path) -> None:
    """Networks as points; their names stand in a column at the right, so that none lies over another."""
    picture = figure.new(7, max(4.0, 0.27 * len(rows) + 1))
    axes = picture.subplots()
    methods = list(dict.fromkeys(row["method"] for row in rows))
    ordered = sorted(rows, key=lambda row: float(row["top1"]))
    for place, row in enumerate(ordered):
        number = methods.index(row["method"])
        colour, at = f"C{number}", (float(row[column]), float(row["top1"]))
        axes.plot(*at, _MARKERS[number % len(_MARKERS)], color=colour)
        height = (place + 0.5) / len(ordered)
        line = {"arrowstyle": "-", "color": colour, "alpha": 0.4, "shrinkB": 3, "relpos": (0, 0.5)}
        words = {"xytext": (1.03, height), "textcoords": "axes fraction", "va": "center", "color": colour}
        axes.annotate(f"{row['method']} {row['budget']}", at, arrowprops=line, fontsize="small", **words)
    axes.set(xscale="log", xlabel=title, ylabel="top-1 %")
    axes.grid(alpha=0.3)
    figure.save(picture, path)
