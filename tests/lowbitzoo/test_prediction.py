"""``predict``: the shipped networks on real digits, and the command."""

import os
import subprocess
import sys

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import lowbitzoo
from common.data import open_dataset
from common.errors import ConfigError
from common.models.registry import preprocessing_of
from common.zoo.registry import ROOT
from lowbitzoo import methods
from tests import own_networks as own

NAME = "dambq-resnet20-digits-w2a2"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Twelve digits as files, their labels and pixels."""
    folder, source = tmp_path_factory.mktemp("digits"), open_dataset("digits", None, "test").spread(12)
    for index, pixels in enumerate(source.images):
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder, source


@pytest.mark.parametrize("method", methods.METHODS)
def test_the_classes_are_those_of_the_logits(pynative, digits, method):
    folder, source = digits
    stored = lowbitzoo.load(lowbitzoo.list_checkpoints(method, "digits")[0])
    found = lowbitzoo.predict(stored, folder, top=3)
    images = source.eval_batch(np.arange(12), preprocessing_of("digits", stored.metadata))
    logits = stored.network.set_train(False)(Tensor(images)).asnumpy()
    assert [entry.classes[0][0] for entry in found] == [str(label) for label in logits.argmax(1)]
    assert all(len(entry.classes) == 3 for entry in found)
    assert sum(entry.classes[0][0] == str(label) for entry, label in zip(found, source.labels)) >= 11


def command(*words):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "lowbitzoo", "predict", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, env=environment)


def test_the_command_prints_five_classes_of_each_picture(digits):
    folder, source = digits
    done = command(NAME, folder)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 12 * 6, done.stderr
    right = [line.split()[-1] == str(label) for line, label in zip(lines[1::6], source.labels)]
    assert sum(right) >= 11


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([NAME], "IMAGE"),
        ([NAME, "nowhere.png"], "no such file"),
        (["nothing", ROOT / "docs"], "nothing"),
        ([NAME, ROOT / "pyproject.toml"], "not a readable image"),
    ],
)
def test_mistakes_of_the_command_are_one_line(words, expected):
    done = command(*words)
    assert done.returncode == 2 and expected in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_file_that_records_no_preprocessing_needs_one(pynative, digits):
    stored = lowbitzoo.quantize(own.SameNet(), "ProQHA", image_size=own.SIZE)
    with pytest.raises(ConfigError, match="preprocessing: expected a file that records it"):
        lowbitzoo.predict(stored, digits[0])
    found = lowbitzoo.predict(stored, digits[0], preprocessing=own.FORM, class_names=own.NAMES)
    assert {entry.classes[0][0] for entry in found} <= set(own.NAMES)
