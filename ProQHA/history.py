"""Log of a search, search_log.csv, and the pictures of :mod:`ProQHA.plots`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import report
from ProQHA import plots

LOG = "search_log.csv"
_COLUMNS = (
    "step",
    "score",
    "cost",
    "compute_cost",
    "average_weight_bits",
    "average_activation_bits",
    "acc",
    "validation_acc",
    "test_acc",
)


def write(folder: Path, names: Sequence[str], records: plots.Records) -> None:
    """Write the log, ``bits.png`` and ``accuracy.png``.

    Args:
        folder: folder of the search.
        names: names of the L layers.
        records: one record per step.
    """
    write_log(folder / LOG, records)
    plots.plot_bits(folder / "bits.png", names, records)
    plots.plot_accuracy(folder / "accuracy.png", records)


def write_log(path: Path, records: plots.Records) -> None:
    """Write a row per step with its bits of weights and of activations, layer by layer."""
    rows = []
    for record in records:
        bits = np.array(record["bits"])
        row = {key: _number(record.get(key)) for key in _COLUMNS}
        row["weight_bits"], row["activation_bits"] = (" ".join(map(str, bits[:, column])) for column in (0, 1))
        rows.append(row)
    report.write_rows(path, rows)


def _number(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
