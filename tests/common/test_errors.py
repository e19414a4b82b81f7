"""A message stays one line of bounded length, whatever it quotes."""

import pickle

import pytest

from common.errors import CheckpointError, UserError


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r", "\x0b", "\u2028"])
def test_one_line(separator):
    assert str(UserError(f"a{separator}b")) == "a b"


def test_the_middle_of_a_long_line_is_left_out():
    text = str(CheckpointError("net.ckpt: " + "x" * 10**6 + "; do this"))
    assert len(text) < 2100 and text.startswith("net.ckpt: xx") and text.endswith("xx; do this") and " [...] " in text
    assert str(CheckpointError("x" * 2000)) == "x" * 2000


def test_an_error_passes_between_processes():
    assert str(pickle.loads(pickle.dumps(CheckpointError("a")))) == "a"
