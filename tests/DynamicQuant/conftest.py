"""Fixtures of the tests of DynamicQuant."""

import contextlib
from pathlib import Path

import pytest
from dynamic_tiny import TinyResNet
from script_runs import run

from common.models.registry import MODELS, Model
from DynamicQuant import train
from DynamicQuant.options import ARCHITECTURES


@contextlib.contextmanager
def registered():
    """The small network under a name of the registry and of ``--arch``, and no picture after each epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "TinyDynamic", Model(TinyResNet, str, ("digits", "cifar10")))
        patch.setattr("DynamicQuant.options.ARCHITECTURES", (*ARCHITECTURES, "TinyDynamic"))
        patch.setattr("common.report.curves.plot", lambda *_: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def tiny_model():
    """The small network is known to all tests of these modules, and to no others."""
    with registered():
        yield


@pytest.fixture(scope="session")
def data(small_cifar) -> list:
    """Options that name the images."""
    return ["--dataset_path", small_cifar, "--batch-size", 16, "--arch", "TinyDynamic", "--mode", "pynative"]


SHORT = ["--epochs", 1, "--lr", 0.01, "--schedule", "constant", "--warmup_epochs", 0]


@pytest.fixture(scope="session")
def runs(tmp_path_factory, data) -> dict[str, tuple[Path, list[str]]]:
    """Folder and printed lines of a float, a static and a dynamic run of the small network."""
    root, made = tmp_path_factory.mktemp("runs"), {}
    for name, options in (
        ("float", ["--float"]),
        ("static3", ["--static", "--bits", 3, "--pretrained", root / "float" / "final.ckpt"]),
        ("dynamic3", ["--bits", 3, "--quantizer", "pact", "--pretrained", root / "float" / "final.ckpt"]),
    ):
        words = [*data, *SHORT, "--output_dir", root, "--run_name", name, *options]
        with registered():
            made[name] = root / name, run(train, *words)
    return made


@pytest.fixture
def training(data, runs, tmp_path) -> list:
    """A command that trains the small network to choose among 2, 3 and 4 bits."""
    words = [*data, *SHORT, "--output_dir", tmp_path, "--run_name", "run", "--bits", 3]
    return [*words, "--pretrained", runs["float"][0] / "final.ckpt"]
