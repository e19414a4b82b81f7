"""Fixtures of the tests of DynamicQuant."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from dynamic_tiny import TinyResNet, run

from common import context
from common.context import execution_mode
from common.models.registry import MODELS, Model
from DynamicQuant import train
from DynamicQuant.network import ARCHITECTURES

context.prepare_onednn()


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    """Run a test in both execution modes; the value is the name of the mode."""
    with execution_mode(request.param):
        yield request.param


@pytest.fixture
def pynative():
    """Run a test without compiling anything."""
    with execution_mode("pynative"):
        yield


@contextlib.contextmanager
def registered():
    """The small network under a name of the zoo and of ``-a``, and no picture after each epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "TinyDynamic", Model(TinyResNet, str, ("digits", "cifar10")))
        patch.setitem(ARCHITECTURES, "tiny", "TinyDynamic")
        patch.setattr("common.training.curves.plot", lambda *_: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def tiny_model():
    """The small network is known to all tests of these modules, and to no others."""
    with registered():
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
    return ["--dataset_path", root, "--batch-size", 16, "-a", "tiny", "--mode", "pynative"]


SHORT = ["--epochs", 1, "--lr", 0.01, "--schedule", "constant", "--warmup_epochs", 0]


@pytest.fixture(scope="session")
def runs(tmp_path_factory, data) -> dict[str, tuple[Path, list[str]]]:
    """Folder and printed lines of a float, a static and a dynamic run of the small network."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for name, own in (
        ("float", ["--float"]),
        ("static3", ["--static", "--bits", 3, "--pretrained", root / "float" / "best.ckpt"]),
        ("dynamic3", ["--bits", 3, "--quantizer", "pact", "--pretrained", root / "float" / "best.ckpt"]),
    ):
        words = [*data, *SHORT, "--output_dir", root, "--expr_name", name, *own]
        with registered():
            found[name] = root / name, run(train, *words)
    return found


@pytest.fixture
def training(data, runs, tmp_path) -> list:
    """A command that trains the small network to choose among 2, 3 and 4 bits."""
    words = [*data, *SHORT, "--output_dir", tmp_path, "--expr_name", "run", "--bits", 3]
    return [*words, "--pretrained", runs["float"][0] / "best.ckpt"]
