"""Fixtures of the tests of ProQHA."""

from pathlib import Path

import numpy as np
import pytest
from proqha_tiny import register, run

from common import context
from common.context import execution_mode
from ProQHA import train

context.prepare_onednn()


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    """Run a test in both execution modes; the value is the name of the mode."""
    with context.execution_mode(request.param):
        yield request.param


@pytest.fixture
def quickly(monkeypatch):
    """Nothing to compile for networks of this size, and no pictures."""
    monkeypatch.setattr("common.training.curves.plot", lambda *_: None)
    monkeypatch.setattr("ProQHA.history.plot", lambda *_: None)
    with execution_mode("pynative"):
        yield


@pytest.fixture(scope="module")
def tiny_model():
    """A small network under a name of ``--arch``."""
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> list:
    """Options that name 32 training and 16 test images: one colour per class and noise."""
    root, rng = tmp_path_factory.mktemp("cifar"), np.random.default_rng(0)
    for folder, name, count in (
        ("cifar-10-batches-bin", "data_batch_1.bin", 32),
        ("cifar-10-verify-bin", "test_batch.bin", 16),
    ):
        labels = rng.integers(0, 10, count)
        pixels = np.clip(rng.normal(25 * labels[:, None], 20, (count, 3072)), 0, 255)
        (root / folder).mkdir()
        (root / folder / name).write_bytes(np.c_[labels, pixels].astype(np.uint8).tobytes())
    return ["--dataset_path", root, "--batch_size", 16]


@pytest.fixture(scope="module")
def tiny_float(tmp_path_factory, data, tiny_model) -> Path:
    """Folder of a float run of the small network."""
    root = tmp_path_factory.mktemp("tiny")
    words = ["--arch", "tiny", "--job_dir", root, "--mission", "float", "--train_epochs", 1, "--lr", 0.01]
    run(train, *data, *words, "--mode", "pynative")
    return root / "float"


@pytest.fixture
def searching(data, tiny_float, tmp_path) -> list:
    """A command that searches bits for the small network: two training steps between two steps of the search."""
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--mission", "run"]
    words += ["--resume", tiny_float / "best.ckpt", "--lr", 0.01, "--clip", "--search_epochs", 1, "--step", 3]
    return [*words, "--lam", 5, "--score_images", 16]
