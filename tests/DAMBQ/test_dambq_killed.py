"""The training script killed by SIGKILL in GRAPH mode, and started again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from common import checkpoint

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600


def command(folder, data) -> list[str]:
    words = [
        "train.py",
        "--quantize",
        "--pretrained",
        ROOT / "common" / "zoo" / "files" / "resnet20_digits.ckpt",
        *data,
    ]
    words += ["--wgt-target", 2, "--act-target", 2, "--shares", 0.3, 0.3, "--duration", 0, 0, "--lr", 0.01]
    return [sys.executable, *map(str, words), "--epochs", "12", "--threads", "1", "--output_dir", str(folder)]


def epochs(folder) -> int:
    report = folder / "dambq" / "metrics.jsonl"
    return len(report.read_text(encoding="utf-8").splitlines()) if report.exists() else 0


@pytest.mark.training
def test_a_killed_and_restarted_run_ends_as_one_that_was_not(tmp_path, data):
    places = {"cwd": ROOT / "DAMBQ", "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run(command(tmp_path / "straight", data), check=True, timeout=SECONDS, **places)
    process, end = subprocess.Popen(command(tmp_path / "killed", data), **places), time.monotonic() + SECONDS
    while epochs(tmp_path / "killed") < 3 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and 3 <= epochs(tmp_path / "killed") < 12
    subprocess.run(command(tmp_path / "killed", data), check=True, timeout=SECONDS, **places)
    ends = [checkpoint.load(tmp_path / name / "dambq" / "last.ckpt").tensors for name in ("straight", "killed")]
    assert sorted(ends[0]) == sorted(ends[1]) and any("sensitivity" in name for name in ends[0])
    for name, value in ends[0].items():
        assert np.array_equal(value, ends[1][name]), name
