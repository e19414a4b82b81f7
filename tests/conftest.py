"""Fixtures of the whole test suite."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, checkpoints and reference values that lies beside the repository, not in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder.name} beside the repository, which is absent")
    return folder
