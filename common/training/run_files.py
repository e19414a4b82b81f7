"""The files of a training run, and its reports."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files.atomic_file import write_text
from common.report import curves
from common.report.events import write_events


class RunFiles:
    """Files in the folder of a run.

    Args:
        folder: folder of the run.
        tensorboard: folder of a file of events for TensorBoard; None for none.

    Attributes:
        last: checkpoint from which the run goes on.
        best: checkpoint of the network with the best accuracy on the validation images so far.
        final: checkpoint of the network that the run has ended with, to train further.
    """

    def __init__(self, folder: Path, tensorboard: Path | None = None):
        self.folder, self.tensorboard = folder, tensorboard
        self.last, self.best, self.final = (folder / f"{name}.ckpt" for name in ("last", "best", "final"))

    def discard(self) -> None:
        """Remove the checkpoints, so that a run starts anew."""
        for file in (self.last, self.best, self.final):
            file.unlink(missing_ok=True)

    def report(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write ``metrics.jsonl``, a line per record, ``curves.png``, and the events where they are wanted."""
        lines = (json.dumps(record, sort_keys=True) + "\n" for record in history)
        write_text(self.folder / "metrics.jsonl", "".join(lines))
        if history:
            curves.plot(history, self.folder / "curves.png")
        if self.tensorboard is not None:
            write_events(self.tensorboard, history)
