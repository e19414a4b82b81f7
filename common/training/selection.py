"""The epoch whose network a run ends with: the best one on validation images, or the last."""

from collections.abc import Mapping, Sequence
from typing import Any

VALIDATION, TEST = "validation_", "test_"  # begin the names of the metrics of these images in a record
Record = Mapping[str, Any]


def rivals(history: Sequence[Record]) -> list[Record]:
    """The records of trained epochs that were validated, and that the training may end with."""
    return [r for r in history if r["epoch"] and r.get("finished", True) and f"{VALIDATION}acc" in r]


def chosen(history: Sequence[Record]) -> Record:
    """The record of the highest validation accuracy, of equal ones the later; without any, the last record."""
    return max(rivals(history), key=lambda record: (record[f"{VALIDATION}acc"], record["epoch"]), default=history[-1])


def selection_rule(history: Sequence[Record]) -> str:
    """How the epoch was chosen, in words for reports.

    >>> selection_rule([{"epoch": 1}, {"epoch": 2}])
    'last epoch'
    >>> selection_rule([{"epoch": 1, "validation_acc": 0.5, "validation_samples": 100}])
    'best of 1 epochs on 100 validation images'
    """
    if among := rivals(history):
        return f"best of {len(among)} epochs on {among[0][f'{VALIDATION}samples']} validation images"
    return "last epoch" if history[-1]["epoch"] else "no training"


def training_summary(history: Sequence[Record], seed: int) -> dict[str, Any]:
    """What files record of a training: its epochs, its seed, and how the epoch was chosen."""
    return {"epochs": history[-1]["epoch"], "seed": seed, "selection": selection_rule(history)}
