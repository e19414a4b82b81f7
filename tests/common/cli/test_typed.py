"""Types of options: what they take, and what they say of anything else."""

import argparse

import pytest

from common.cli import typed


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (typed.positive_float, ("1e-9", "0.5", "7"), ("0", "-1", "nan", "inf", "", "x")),
        (typed.nonnegative_float, ("0", "0.0", "5e-4", "3"), ("-1e-9", "nan", "inf", "", "x")),
        (typed.share, ("0", "0.9", "1"), ("-0.1", "1.01", "nan", "", "0.0.0")),
        (typed.fraction, ("0.01", "1"), ("0", "1.01", "nan", "", "x")),
        (typed.positive_int, ("1", "50"), ("0", "-1", "1.5", "", "x")),
    ],
)
def test_numbers(kind, good, bad):
    assert [kind(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=r"^expected a (whole )?number .*found"):
            kind(text)


def test_a_word_may_stand_for_a_number():
    kind = typed.positive_float_or("calibrate")
    assert (kind("calibrate"), kind("2.5")) == ("calibrate", 2.5)
    for text in ("0", "max", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=r"^expected calibrate or a number over 0, found"):
            kind(text)


def test_truth_in_words():
    assert [typed.truth(text) for text in ("True", "true", "yes", "1")] == [True] * 4
    assert [typed.truth(text) for text in ("False", "NO", "0")] == [False] * 3
    with pytest.raises(argparse.ArgumentTypeError, match=r"^expected true or false, found maybe"):
        typed.truth("maybe")


@pytest.mark.parametrize("name", ["run", "w4a4_", "a b", "cifar10_resnet20_w2.0a2.0", "best2"])
def test_names_of_runs(name):
    assert typed.run_name(name) == name


@pytest.mark.parametrize("name", ["best", "final", "last", "search", "a/b", "..", ".", " ", ""])
def test_names_that_a_run_cannot_have(name):
    with pytest.raises(
        argparse.ArgumentTypeError, match="a name without slashes, other than best, final, last, search"
    ):
        typed.run_name(name)
