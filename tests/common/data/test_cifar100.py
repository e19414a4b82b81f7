"""CIFAR-100 in its forms."""

import pickle

import numpy as np
import pytest
from PIL import Image

from common.data import cifar100, open_dataset
from common.data.class_names import known_names
from common.errors import ConfigError, DataError


@pytest.fixture
def content():
    """Images (12, 32, 32, 3), coarse and fine labels."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (12, 32, 32, 3), np.uint8), rng.integers(0, 20, 12), rng.integers(0, 100, 12)


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def write_binary(file, images, coarse, fine):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(np.c_[coarse, fine, planes(images)].astype(np.uint8).tobytes())


def write_python(file, images, coarse, fine):
    values = {b"filenames": [b"x.png"] * len(images), b"batch_label": b"training batch 1 of 1"}
    values |= {b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist(), b"data": planes(images).copy()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(values, 2))


FORMS = {"cifar-100-binary": (write_binary, ".bin"), "cifar-100-python": (write_python, "")}


@pytest.mark.parametrize("folder", FORMS)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("inside", [True, False])
def test_fine_labels(tmp_path, content, folder, split, inside):
    write, suffix = FORMS[folder]
    write((tmp_path / folder if inside else tmp_path) / f"{split}{suffix}", *content)
    source = open_dataset("cifar100", tmp_path, split)
    assert np.array_equal(source.images, content[0]) and np.array_equal(source.labels, content[2])
    assert (source.num_classes, source.class_names) == (100, known_names("cifar100"))


def test_class_folders_of_the_official_names_have_the_official_labels(tmp_path, content):
    names = known_names("cifar100")
    for name in names:
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(content[0][0]).save(tmp_path / "test" / name / "a.png")
    source = open_dataset("cifar100", tmp_path, "test")
    assert source.class_names == names and source.labels.tolist() == list(range(100))


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (lambda file, parts: write_binary(file, *parts[:2], parts[2] + 100), "test.bin", r"image 0 has label \d+"),
        (lambda file, parts: file.write_bytes(bytes(3073)), "test.bin", "expected a multiple of 3074 bytes"),
        (lambda file, parts: file.write_bytes(b""), "test.bin", "expected at least one image"),
        (lambda file, parts: write_python(file, *parts[:2], parts[2] - 100), "test", r"image 0 has label -"),
        (lambda file, parts: file.write_bytes(pickle.dumps({"labels": [1]})), "test", "not a CIFAR file"),
    ],
)
def test_damage(tmp_path, content, write, name, message):
    write(tmp_path / name, content)
    with pytest.raises(DataError, match=f"{name}: {message}"):
        cifar100.load(tmp_path, "test")


def test_nothing_there(tmp_path):
    (tmp_path / "test_batch.bin").touch()
    with pytest.raises(DataError, match=r"no CIFAR-100 test images: expected test\.bin, .* found test_batch\.bin"):
        cifar100.load(tmp_path, "test")
    with pytest.raises(ConfigError, match="split"):
        cifar100.load(tmp_path, "val")
