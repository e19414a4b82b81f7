"""Networks and data that several tests of LDNQ use."""

from pathlib import Path

import numpy as np
import pytest

from common.data import ImageArrays


@pytest.fixture(scope="session")
def golden(shared) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "golden" / "ldnq_admm.npz"))


@pytest.fixture(scope="session")
def published(shared) -> Path:
    """The published state file of ResNet-20."""
    return shared / "checkpoints" / "resnet20-12fca82f.th"


@pytest.fixture(scope="session")
def lossless(shared) -> Path:
    """Folder of real CIFAR-10 images."""
    return shared / "data" / "cifar10_lossless"


@pytest.fixture(scope="session")
def images() -> ImageArrays:
    """Twelve random pictures."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (12, 32, 32, 3), np.uint8)
    return ImageArrays(pixels, np.arange(12, dtype=np.int32) % 10, 10)
