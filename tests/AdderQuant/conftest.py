"""Networks and data that several tests of AdderQuant use."""

from pathlib import Path

import numpy as np
import pytest

from AdderQuant import storage
from common.data import CIFAR10, batches, eval_dataset, open_dataset


@pytest.fixture(scope="session")
def published(shared) -> Path:
    """The published state file of the adder ResNet-20."""
    return shared / "checkpoints" / "resnet20-addernet.pth"


@pytest.fixture(scope="session")
def lossless(shared) -> Path:
    """Folder of real CIFAR-10 images."""
    return shared / "data" / "cifar10_lossless"


@pytest.fixture
def float_network(published):
    """The published network, fresh for each test."""
    return storage.load(published).network


@pytest.fixture(scope="session")
def real_images(lossless) -> list[np.ndarray]:
    """Two batches of 64 real training images, as evaluation sees them."""
    images = open_dataset("cifar10", lossless, "train").head(128)
    return [batch["image"] for batch in batches(eval_dataset(images, CIFAR10, 64))]
