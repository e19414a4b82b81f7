"""What the tests of the engine share."""

import numpy as np
import pytest

from common.engine.library import instruction_sets, library


@pytest.fixture(scope="session")
def engine_sets():
    """Names of the instruction sets that this processor has."""
    handle = library()
    if handle is None:
        pytest.skip("needs a C++ compiler")
    return instruction_sets(handle)


@pytest.fixture
def images():
    """Random images of a description."""

    def make(description, count=2, seed=0):
        shape = (count, *description.steps[0].shape)
        return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)

    return make
