"""Fixtures of the tests that run networks."""

import pytest

from common import context

context.prepare_onednn()


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    """Run a test in both execution modes; the value is the name of the mode."""
    with context.execution_mode(request.param):
        yield request.param
