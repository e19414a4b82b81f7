from pathlib import Path

import numpy as np
import pytest

from common.data import DATASETS, DataSelection, ImageArrays, ImageFolder, open_dataset, open_split
from common.errors import ConfigError, DataError


def test_digits():
    assert len(open_dataset("digits", None, "test")) == 360


def test_cifar10(tmp_path, random_images, write_binary):
    images, labels = random_images(6)
    write_binary(tmp_path / "test_batch.bin", images, labels)
    source = open_dataset("cifar10", str(tmp_path), "test")
    assert isinstance(source, ImageArrays) and np.array_equal(source.images, images)


def test_imagenet(image_tree, tmp_path):
    (tmp_path / "ids.txt").write_text("n02\nn01\nn03\nn04\n")
    source = open_dataset("imagenet", image_tree, "test", tmp_path / "ids.txt")
    assert isinstance(source, ImageFolder) and source.num_classes == 4 and source.labels[0] == 1


@pytest.mark.parametrize("name", ["mnist", "CIFAR10", ""])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ConfigError, match="known: digits, cifar10, cifar100, imagenet"):
        open_dataset(name, None, "test")


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_path_is_needed(name, tmp_path):
    with pytest.raises(ConfigError, match=f"{name} data set needs the path"):
        open_dataset(name, None, "test")
    with pytest.raises(DataError, match="gone: expected a data set folder"):
        open_dataset(name, tmp_path / "gone", "test")


@pytest.mark.parametrize(
    ("name", "path", "classes"), [("digits", "x", None), ("digits", None, "x"), ("cifar10", "files", "x")]
)
def test_argument_that_would_be_ignored(name, path, classes, tmp_path, random_images, write_binary):
    write_binary(tmp_path / "files" / "test_batch.bin", *random_images(3))
    with pytest.raises(ConfigError, match="drop"):
        open_dataset(name, path and tmp_path / path, "test", classes)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_split(name, tmp_path):
    with pytest.raises(ConfigError, match="split must be train or test"):
        open_dataset(name, None if name == "digits" else tmp_path, "validation")


def test_each_part_of_a_selection_may_have_its_folder():
    both = DataSelection("cifar10", Path("both"), train_path=Path("train"))
    assert (both.folder("train"), both.folder("test")) == (Path("train"), Path("both"))
    assert DataSelection("cifar10", eval_path=Path("test")).folder("test") == Path("test")


def test_a_selection_opens_its_images(tmp_path, random_images, write_binary):
    images, labels = random_images(6)
    write_binary(tmp_path / "test_batch.bin", images, labels)
    selection = DataSelection("cifar10", tmp_path / "gone", eval_path=tmp_path, num_samples=4)
    assert len(open_split(selection, "test")) == 4
    with pytest.raises(DataError, match="gone: expected a data set folder"):
        open_split(selection, "train")


def test_few_training_images_are_the_same_ones_for_all():
    few = [open_split(DataSelection("digits", train_samples=n, num_samples=1), "train") for n in (5, 9)]
    assert [len(source) for source in few] == [5, 9]
    assert np.array_equal(few[0].images, few[1].images[:5])
    assert not np.array_equal(few[0].images, open_split(DataSelection("digits"), "train").images[:5])
