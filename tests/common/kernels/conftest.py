"""What the tests of the kernels share."""

import pytest

from common.kernels import build


@pytest.fixture
def library():
    """Path of the native library."""
    loaded = build.library()
    if loaded is None:
        pytest.skip("needs a C++ compiler")
    return loaded[0]


@pytest.fixture
def threads():
    """Sets the number of threads of the kernels for one test."""
    yield build.set_threads
    build.set_threads(0)
