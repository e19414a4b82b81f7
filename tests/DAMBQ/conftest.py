"""Fixtures of the tests of DAMBQ."""

from pathlib import Path

import numpy as np
import pytest
from dambq_tiny import Plain, UserNet, seeded
from script_runs import run

from common.models.registry import MODELS, Model
from common.runtime.context import execution_mode
from DAMBQ import options, train


@pytest.fixture(scope="session")
def golden(shared) -> dict[str, np.ndarray]:
    """Values that the authors' PyTorch layers gave."""
    return dict(np.load(shared / "golden" / "dambq_layers.npz"))


@pytest.fixture(params=[True, False], ids=["native", "fallback"])
def native(request) -> bool:
    """Run a test with the C++ kernels and without."""
    return request.param


@pytest.fixture
def quickly(monkeypatch):
    """Nothing to compile for networks of this size, and no picture after each epoch."""
    monkeypatch.setattr("common.report.curves.plot", lambda *_: None)
    with execution_mode("pynative"):
        yield


@pytest.fixture
def user_model(monkeypatch):
    """A small network of a user under a name of the zoo."""
    monkeypatch.setitem(MODELS, "User", Model(UserNet, str, ("digits", "cifar10")))


@pytest.fixture(scope="module")
def tiny_model():
    """A small network under a name of ``--arch``."""
    with pytest.MonkeyPatch.context() as patch:
        model = Model(lambda classes: seeded(Plain((6, 8, 5), classes)), str, ("digits", "cifar10"))
        patch.setitem(MODELS, "Tiny", model)
        patch.setattr(options, "ARCHITECTURES", (*options.ARCHITECTURES, "Tiny"))
        yield


@pytest.fixture(scope="session")
def data(small_cifar) -> list:
    """Options that name the images."""
    return ["--dataset_path", small_cifar, "--batch-size", 16]


@pytest.fixture(scope="session")
def documented(tmp_path_factory, data) -> dict[str, tuple[Path, list[str]]]:
    """Folder and printed lines of the three steps with ResNet-20."""
    root, runs = tmp_path_factory.mktemp("runs"), {}
    words = [*data, "--output_dir", root, "-a", "resnet20"]
    low = ["--wgt-target", 2.0, "--act-target", 2.0, "--shares", 1, 1, "--duration", 0, 0, "--mode", "pynative"]
    steps = {
        "float": ["--lr", 0.01, "--mode", "pynative"],
        "w4a4": ["--lr", 5e-3, "--quantize", "--pretrained", root / "float" / "final.ckpt", "--wgt-target", 4.0],
        "w2a2": ["--lr", 5e-3, "--quantize", "--resume", root / "w4a4" / "final.ckpt", *low],
    }
    for name, step in steps.items():
        epochs = 2 if name == "w2a2" else 1
        runs[name] = root / name, run(train, *words, "--expr-name", name, "--epochs", epochs, *step)
    return runs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, data, tiny_model) -> Path:
    """Folder of a float run of the small network."""
    root = tmp_path_factory.mktemp("tiny")
    run(train, *data, "-a", "Tiny", "--output_dir", root, "--expr-name", "float", "--epochs", 1, "--mode", "pynative")
    return root / "float"


@pytest.fixture
def quantizing(data, tiny, tmp_path) -> list:
    """A command that quantizes the small network to 3 bits."""
    words = [*data, "-a", "Tiny", "--mode", "pynative", "--output_dir", tmp_path, "--expr-name", "run", "--epochs", 2]
    words += ["--quantize", "--pretrained", tiny / "final.ckpt", "--lr", 0.01]
    return [*words, "--wgt-target", 3, "--act-target", 3, "--shares", 1, 1, "--duration", 0, 0]
