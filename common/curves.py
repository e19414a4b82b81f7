"""The curves of a training as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import figure


def plot(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw loss and accuracy over the epochs, of the training images and, where recorded, of the test images.

    Args:
        history: a record per epoch with ``loss`` and ``acc``, perhaps ``test_loss`` and ``test_acc``.
        path: PNG file.
    """
    picture, epochs = figure.new(9, 3.5), [record["epoch"] for record in history]
    for axes, key, title in zip(picture.subplots(1, 2), ("loss", "acc"), ("cross-entropy", "top-1 accuracy")):
        for prefix, label in (("", "training"), ("test_", "test")):
            if all(prefix + key in record for record in history):
                axes.plot(epochs, [record[prefix + key] for record in history], marker=".", label=label)
        axes.set(xlabel="epoch", title=title)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.save(picture, path)
