import numpy as np
import pytest

from common.data import DATASETS, ImageArrays, ImageFolder, open_dataset
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
    source = open_dataset("imagenet", image_tree, "test", wnids=tmp_path / "ids.txt")
    assert isinstance(source, ImageFolder) and source.num_classes == 4 and source.labels[0] == 1


@pytest.mark.parametrize("name", ["mnist", "CIFAR10", ""])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ConfigError, match="known: digits, cifar10, imagenet"):
        open_dataset(name, None, "test")


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_path_is_needed(name, tmp_path):
    with pytest.raises(ConfigError, match=f"{name} data set needs the path"):
        open_dataset(name, None, "test")
    with pytest.raises(DataError, match="gone: expected a data set folder"):
        open_dataset(name, tmp_path / "gone", "test")


@pytest.mark.parametrize(
    ("name", "path", "wnids"), [("digits", "x", None), ("digits", None, "x"), ("cifar10", "x", "x")]
)
def test_argument_that_would_be_ignored(name, path, wnids):
    with pytest.raises(ConfigError, match="drop"):
        open_dataset(name, path, "test", wnids)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_split(name, tmp_path):
    with pytest.raises(ConfigError, match="split must be train or test"):
        open_dataset(name, None if name == "digits" else tmp_path, "validation")
