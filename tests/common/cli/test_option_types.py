"""Types of options: what they take, and what they say of anything else."""

import argparse

import pytest

from common.cli import config


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (config.positive_float, ("1e-9", "0.5", "7"), ("0", "-1", "nan", "inf", "", "x")),
        (config.nonnegative_float, ("0", "0.0", "5e-4", "3"), ("-1e-9", "nan", "inf", "", "x")),
        (config.share, ("0", "0.9", "1"), ("-0.1", "1.01", "nan", "", "0.0.0")),
        (config.fraction, ("0.01", "1"), ("0", "1.01", "nan", "", "x")),
        (config.positive_int, ("1", "50"), ("0", "-1", "1.5", "", "x")),
    ],
)
def test_numbers(kind, good, bad):
    assert [kind(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=r"^expected a (whole )?number .*found"):
            kind(text)


def test_a_word_may_stand_for_a_number():
    kind = config.positive_float_or("calibrate")
    assert (kind("calibrate"), kind("2.5")) == ("calibrate", 2.5)
    for text in ("0", "max", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=r"^expected calibrate or a number over 0, found"):
            kind(text)


def test_truth_in_words():
    assert [config.truth(text) for text in ("True", "true", "yes", "1")] == [True] * 4
    assert [config.truth(text) for text in ("False", "NO", "0")] == [False] * 3
    with pytest.raises(argparse.ArgumentTypeError, match=r"^expected true or false, found maybe"):
        config.truth("maybe")


@pytest.mark.parametrize("name", ["run", "w4a4_", "a b", "cifar10_resnet20_w2.0a2.0", "best2"])
def test_names_of_runs(name):
    assert config.run_name(name) == name


@pytest.mark.parametrize("name", ["best", "last", "search", "a/b", "..", ".", " ", ""])
def test_names_that_a_run_cannot_have(name):
    with pytest.raises(argparse.ArgumentTypeError, match="a name without slashes, other than best, last, search"):
        config.run_name(name)
