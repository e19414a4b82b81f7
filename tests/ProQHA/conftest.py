"""Fixtures of the tests of ProQHA."""

from pathlib import Path

import pytest
from proqha_tiny import register
from script_runs import run

from common.runtime.context import execution_mode
from ProQHA import train


@pytest.fixture
def quickly(monkeypatch):
    """Nothing to compile for networks of this size, and no pictures."""
    monkeypatch.setattr("common.report.curves.plot", lambda *_: None)
    monkeypatch.setattr("ProQHA.history.plots.plot_bits", lambda *_: None)
    monkeypatch.setattr("ProQHA.history.plots.plot_accuracy", lambda *_: None)
    with execution_mode("pynative"):
        yield


@pytest.fixture(scope="module")
def tiny_model():
    """A small network under a name of ``--arch``."""
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield


@pytest.fixture(scope="session")
def data(small_cifar) -> list:
    """Options that name the images."""
    return ["--dataset_path", small_cifar, "--batch_size", 16]


@pytest.fixture(scope="module")
def tiny_float(tmp_path_factory, data, tiny_model) -> Path:
    """Folder of a float run of the small network."""
    root = tmp_path_factory.mktemp("tiny")
    words = ["--arch", "tiny", "--output_dir", root, "--run_name", "float", "--epochs", 1, "--lr", 0.01]
    run(train, *data, *words, "--mode", "pynative")
    return root / "float"


@pytest.fixture
def searching(data, tiny_float, tmp_path) -> list:
    """A command that searches bits for the small network: two training steps between two steps of the search."""
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--run_name", "run"]
    words += ["--resume", tiny_float / "final.ckpt", "--lr", 0.01, "--clip", "--search_epochs", 1, "--step", 3]
    return [*words, "--lam", 5, "--score_images", 16]
