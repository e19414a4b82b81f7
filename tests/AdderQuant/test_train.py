"""The training script: it learns, and a killed run ends as an uninterrupted one."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from AdderQuant import storage
from common import checkpoint
from common.checkpoint import network_state

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tiny_cifar(tmp_path) -> Path:
    """96 training and 16 test images: one colour per class and noise."""
    rng = np.random.default_rng(0)
    for folder, name, count in (
        ("cifar-10-batches-bin", "data_batch_1.bin", 96),
        ("cifar-10-verify-bin", "test_batch.bin", 16),
    ):
        labels = rng.integers(0, 10, count)
        pixels = np.clip(rng.normal(25 * labels[:, None], 20, (count, 3072)), 0, 255)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(np.c_[labels, pixels].astype(np.uint8).tobytes())
    return tmp_path


def start(data: Path, output: Path) -> subprocess.Popen:
    words = ["--dataset_path", data, "--output_dir", output, "--epochs", "3", "--batch_size", "16", "--seed", "3"]
    command = [sys.executable, str(ROOT / "AdderQuant" / "train.py"), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.training
def test_a_killed_training_ends_with_the_same_parameters(tiny_cifar, tmp_path):
    whole = start(tiny_cifar, tmp_path / "whole")
    killed = start(tiny_cifar, tmp_path / "killed")
    while not (tmp_path / "killed" / "last.ckpt").exists() and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    done = len(checkpoint.load(tmp_path / "killed" / "last.ckpt").metadata["history"])
    again = start(tiny_cifar, tmp_path / "killed")
    for process in (whole, again):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert done < 3
    files = [tmp_path / name / "adder_resnet20_cifar10.ckpt" for name in ("whole", "killed")]
    states = [network_state.state(storage.load(file).network) for file in files]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.training
def test_the_digits_are_learned_from_scratch(tmp_path):
    command = [sys.executable, str(ROOT / "AdderQuant" / "train.py"), "--output_dir", str(tmp_path)]
    subprocess.run(command, check=True)
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert history[-1]["test_acc"] >= 0.95 and history[-1]["test_samples"] == 360
