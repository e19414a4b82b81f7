"""Fixtures of the whole test suite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER and hasattr(os, "sched_setaffinity"):
    # Before MindSpore is imported: processes whose threads share all cores slow each other several times.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(WORKER.removeprefix("gw")) % len(cores)]})

import mindspore  # noqa: E402
import numpy as np  # noqa: E402

from common.runtime import context  # noqa: E402

context.prepare_onednn()
context.run_synchronously()
context.freeze_imports()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, checkpoints and reference values that lies beside the repository, not in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder.name} beside the repository, which is absent")
    return folder


@pytest.fixture(scope="session")
def official_cifar10(shared, tmp_path_factory) -> Path:
    """Folder of the official CIFAR-10; tests of the ``xdist_group`` "official" prepare it once."""
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, str(shared / "tools" / "prepare_cifar10.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def foreign_inputs(shared, tmp_path_factory) -> Path:
    """Folder of the shipped digits network as ``files/`` of others, and of the digits' test images in ``images/``."""
    folder = tmp_path_factory.mktemp("foreign")
    command = [sys.executable, str(shared / "faults" / "make.py"), str(folder)]
    subprocess.run(command, cwd=Path(__file__).resolve().parents[1], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _seed_of_module() -> None:
    """What a module's fixtures draw does not depend on the files that ran before it."""
    mindspore.set_seed(0)


@pytest.fixture(autouse=True)
def _seed_of_test(_seed_of_module) -> None:
    """What a test draws, such as a network's first parameters, is the same each time."""
    mindspore.set_seed(0)


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    """Run a test in both execution modes; the value is the name of the mode."""
    with context.execution_mode(request.param):
        yield request.param


@pytest.fixture
def pynative():
    """Run a test without compiling anything."""
    with context.execution_mode("pynative"):
        yield


@pytest.fixture(scope="session")
def small_cifar(tmp_path_factory) -> Path:
    """Folder of 32 training and 16 test images in CIFAR-10's format: one colour per class and noise."""
    root, rng = tmp_path_factory.mktemp("cifar"), np.random.default_rng(0)
    for folder, name, count in (
        ("cifar-10-batches-bin", "data_batch_1.bin", 32),
        ("cifar-10-verify-bin", "test_batch.bin", 16),
    ):
        labels = rng.integers(0, 10, count)
        pixels = np.clip(rng.normal(25 * labels[:, None], 20, (count, 3072)), 0, 255)
        (root / folder).mkdir()
        (root / folder / name).write_bytes(np.c_[labels, pixels].astype(np.uint8).tobytes())
    return root
