"""Which preprocessing a run takes, and what is said of it."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from common import checkpoint
from common.cli import config
from common.cli.preprocessing import of_start, resolved, with_preprocessing
from common.cli.run_options import run_options
from common.data import CIFAR10, CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.data.preprocessing import INTERPOLATIONS, PREPROCESSINGS
from common.errors import ConfigError
from common.stored.network import StoredNetwork

FILE = Path("mine.pth")
FACES = {
    "AdderQuant": ("train", "eval", "export"),
    "DAMBQ": ("train", "eval", "export"),
    "DynamicQuant": ("train", "eval", "export", "potential"),
    "LDNQ": ("train", "main", "eval", "export"),
    "ProQHA": ("train", "search", "measure", "correlation", "eval", "export"),
}


def given(*words):
    return run_options(config.parse(config.build_parser(""), list(map(str, words))))


def taken(words, metadata, usual=CIFAR10, file=FILE):
    return resolved(given(*words).preprocessing, usual, metadata, file)


def test_what_a_file_records_is_taken_without_a_word(capsys):
    assert taken([], {"preprocessing": DIGITS.to_dict()}) == DIGITS
    assert capsys.readouterr() == ("", "")


def test_what_was_taken_for_a_file_that_records_none_is_one_line(capsys):
    assert taken([], {}) == CIFAR10
    out, err = capsys.readouterr()
    assert out.startswith("preprocessing: mine.pth records none; taken, usual for its network and data set: 32 x 32")
    assert "mean 0.4914 0.4822 0.4465, std 0.2023 0.1994 0.201;" in out and "--mean" in out
    assert out.count("\n") == 1 and err == ""


def test_what_is_given_is_taken(capsys):
    assert taken(["--preprocessing", "digits"], {}) == DIGITS
    words = ["--mean", 0.1, 0.2, 0.3, "--std", 1, 2, 3]
    assert taken(words, {}) == Preprocessing(32, (0.1, 0.2, 0.3), (1, 2, 3), None, 4, True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("records none; taken, as given: 32 x 32" in line for line in lines)


def test_what_contradicts_the_file_is_said(capsys):
    recorded = {"preprocessing": CIFAR10_IMAGENET_STATS.to_dict()}
    assert taken(["--preprocessing", "cifar10"], recorded) == CIFAR10
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("warning: mine.pth was made with 32 x 32") and "as given: 32 x 32" in err
    assert taken(["--preprocessing", "cifar10-imagenet-stats"], recorded) == CIFAR10_IMAGENET_STATS
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("crop", "resize"), [(224, 256), (299, 341), (192, 219)])
def test_a_crop_keeps_its_share_of_the_image(crop, resize):
    made = taken(["--crop", crop], {}, IMAGENET)
    assert (made.image_size, made.resize) == (crop, resize)
    assert taken(["--crop", crop, "--resize", 400], {}, IMAGENET).resize == 400


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(ConfigError, match=r"preprocessing\.resize must be an integer of at least 300"):
        taken(["--crop", 300, "--resize", 299], {}, IMAGENET)


@pytest.mark.parametrize("how", INTERPOLATIONS)
def test_every_interpolation(how):
    assert taken(["--interpolation", how], {}, IMAGENET).interpolation == how


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_every_name(name):
    assert taken(["--preprocessing", name], {}) == PREPROCESSINGS[name]


@pytest.mark.parametrize(
    "words",
    [["--mean", 1, 2], ["--std", 0, 1, 1], ["--mean", 124, 116, 104], ["--interpolation", "area"], ["--crop", 0]],
)
def test_values_out_of_range(words):
    with pytest.raises(ConfigError):
        given(*words)


def test_a_stored_network_carries_what_was_taken():
    stored = StoredNetwork(None, {"network": "adder_resnet20"})
    made = with_preprocessing(given("--dataset", "cifar10"), stored, FILE)
    assert (
        made.metadata == {"network": "adder_resnet20", "preprocessing": CIFAR10.to_dict()} and stored.metadata != made
    )


def test_a_training_takes_the_preprocessing_of_the_file_it_starts_from(tmp_path, capsys):
    checkpoint.save(tmp_path / "start.ckpt", {"a": np.zeros(1, np.float32)}, {"preprocessing": CIFAR10.to_dict()})
    checkpoint.save(tmp_path / "bare.ckpt", {"a": np.zeros(1, np.float32)}, {"network": "resnet20"})

    def start(file, *words):
        return of_start(given(*words), CIFAR10_IMAGENET_STATS, file)

    assert start(tmp_path / "start.ckpt") == CIFAR10
    assert start(None) == CIFAR10_IMAGENET_STATS and start(None, "--preprocessing", "cifar10") == CIFAR10
    assert capsys.readouterr() == ("", "")
    assert start(tmp_path / "bare.ckpt") == CIFAR10_IMAGENET_STATS
    assert "bare.ckpt records none; taken" in capsys.readouterr().out


def test_dictionaries_of_all_versions_are_read():
    old = {"image_size": 32, "mean": [0, 0, 0], "std": [1, 1, 1], "resize": None, "crop_padding": 4, "flip": True}
    assert Preprocessing.from_dict(old).interpolation == "bilinear" and Preprocessing.from_dict(old).to_dict() == old
    bicubic = {**old, "interpolation": "bicubic"}
    assert Preprocessing.from_dict(bicubic).to_dict() == bicubic
    for wrong in ("area", None, ["bicubic"], 3):
        with pytest.raises(ConfigError, match=r"preprocessing\.interpolation must be one of nearest, .*bicubic"):
            Preprocessing.from_dict({**old, "interpolation": wrong})


SCRIPTS = [f"{method}.{script}" for method, scripts in FACES.items() for script in scripts]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_takes_a_preprocessing(script):
    parser = importlib.import_module(script).make_parser()
    words = "--mean 0.1 0.2 0.3 --std 1 2 3 --crop 24 --resize 28 --interpolation bicubic --preprocessing imagenet"
    options = run_options(config.parse(parser, words.split())).preprocessing
    assert options.over(DIGITS) == Preprocessing(24, (0.1, 0.2, 0.3), (1, 2, 3), 28, 0, True, "bicubic")
