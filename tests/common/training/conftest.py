"""Fixtures of the tests of training."""

import pytest

from common.report import curves


@pytest.fixture
def no_picture(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr(curves, "plot", lambda *_: None)
