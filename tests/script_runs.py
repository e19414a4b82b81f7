"""Scripts run in this process: what they print, how they refuse, and trainings that are ended in the middle."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from common import checkpoint
from common.runtime.context import execution_mode
from common.training import trainer


def run(script, *words) -> list[str]:
    """The lines that a script prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), execution_mode("pynative"):  # the mode of before comes back
        script.main([str(word) for word in (*words, "--threads", 1)])
    return output.getvalue().strip().splitlines()


def refused(capsys, script, *words) -> str:
    """The one line on stderr of a script that ends with exit status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped, execution_mode("pynative"):
        script.main([str(word) for word in words])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("warning", "[WARNING]"))]
    assert stopped.value.code == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def history(folder: Path) -> list[dict]:
    """The metrics of a run's epochs."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    """Names of the tensors of two states that differ; empty if they are bit-identical."""
    names = set(one) ^ set(other)
    return sorted(names | {name for name in set(one) & set(other) if not np.array_equal(one[name], other[name])})


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_in_step(patch, count: int, kill=None) -> None:
    """End after the given step of training in this process, its gradients applied."""
    finite, seen = trainer._finite, []

    def killed(loss: float, epoch: int) -> float:
        seen.append(loss)
        if len(seen) == count:
            if kill is None:
                raise KilledError
            kill()
        return finite(loss, epoch)

    patch.setattr(trainer, "_finite", killed)


def final(folder: Path) -> tuple[dict, list]:
    """Tensors and history at the end of a run; wall time left out."""
    saved = checkpoint.load(folder / "last.ckpt")
    records = [{key: value for key, value in one.items() if key != "seconds"} for one in saved.metadata["history"]]
    for record in records:  # MindSpore's loss value may differ in the last bit with the alignment of its buffers
        record["loss"] = pytest.approx(record["loss"], rel=1e-6)
    return saved.tensors, records
