"""Fixtures of the whole test suite."""

import os
from pathlib import Path

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER and hasattr(os, "sched_setaffinity"):
    # Before MindSpore is imported: processes whose threads share all cores slow each other several times.
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(WORKER.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, checkpoints and reference values that lies beside the repository, not in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder.name} beside the repository, which is absent")
    return folder


def _seed() -> None:
    import mindspore  # here, so that a process is bound to its core before MindSpore starts threads

    mindspore.set_seed(0)


@pytest.fixture(scope="module", autouse=True)
def _seed_of_module() -> None:
    """What a module's fixtures draw does not depend on the files that ran before it."""
    _seed()


@pytest.fixture(autouse=True)
def _seed_of_test(_seed_of_module) -> None:
    """What a test draws, such as a network's first parameters, is the same each time."""
    _seed()
