"""Registered files are recognized by their contents, and what the registry says of them holds in every script."""

import shutil

import numpy as np
import pytest

from common import checkpoint, zoo
from common.cli import config
from common.cli.preprocessing import of_start
from common.cli.run_options import run_options
from common.data import CIFAR10_IMAGENET_STATS, DIGITS
from common.stored.float_network import classes_in_file, load_float
from common.zoo import known
from LDNQ import eval as ldnq_eval
from LDNQ import main as ldnq_main


@pytest.fixture
def copy(shared, tmp_path):
    file = shared / "checkpoints" / "resnet20-12fca82f.th"
    if not file.is_file():
        pytest.skip("the published ResNet-20 is not here")
    return shutil.copy(file, tmp_path / "model_best.pth")


def test_a_copy_under_another_name_is_known(copy):
    entry = zoo.find("resnet20-cifar10")
    assert known.recorded(copy) == {"dataset": "cifar10", "preprocessing": entry.preprocessing}
    metadata = load_float(copy, "resnet20").metadata
    assert metadata["dataset"] == "cifar10" and metadata["preprocessing"] == entry.preprocessing
    assert classes_in_file(copy, "resnet20").names[0] == "airplane"


def test_a_training_from_it_takes_its_preprocessing_without_a_word(copy, capsys):
    options = run_options(config.parse(config.build_parser("", evaluates=False), []))
    assert of_start(options, DIGITS, copy) == CIFAR10_IMAGENET_STATS
    assert capsys.readouterr() == ("", "")


def test_another_file_of_the_same_size_is_not(copy):
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert known.recorded(copy) == {}


def test_no_file_records_nothing(tmp_path):
    assert known.recorded(tmp_path / "none.pth") == {}


@pytest.mark.parametrize("run", [ldnq_eval.main, lambda words: ldnq_main.main([*words[2:], "--pretrained", words[1]])])
def test_its_classes_are_compared_with_those_of_the_images(run, copy, capsys):
    with pytest.raises(SystemExit) as ended:
        run(["--checkpoint_path", str(copy), "--num_samples", "36"])
    assert ended.value.code == 2
    assert "10 classes (airplane, automobile, bird, cat ...), found 10 classes (0, 1, 2" in capsys.readouterr().err


def test_what_the_file_records_holds(tmp_path):
    path = tmp_path / "mine.ckpt"
    checkpoint.save(path, {"w": np.zeros(3, np.float32)}, {"dataset": "digits"})
    assert known.recorded(path) == {}
