"""The curves of a training as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.report import figure


def plot(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw loss and accuracy over the epochs, of the training, the validation and the test images.

    Args:
        history: a record per epoch with ``loss`` and ``acc``, perhaps the same after ``validation_`` and ``test_``.
        path: PNG file.
    """
    picture = figure.new(9, 3.5)
    for axes, key, title in zip(picture.subplots(1, 2), ("loss", "acc"), ("cross-entropy", "top-1 accuracy")):
        for prefix, label in (("", "training"), ("validation_", "validation"), ("test_", "test")):
            points = [(record["epoch"], record[prefix + key]) for record in history if prefix + key in record]
            if points:
                axes.plot(*zip(*points), marker=".", label=label)
        axes.set(xlabel="epoch", title=title)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.save(picture, path)
