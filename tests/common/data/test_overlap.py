"""Test images that are training images too."""

import shutil

import numpy as np
import pytest

from common.data import ImageArrays, imagenet, open_dataset, overlap
from common.data.overlap import shared_images


def arrays(values):
    images = np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])
    return ImageArrays(images, np.zeros(len(values), np.int32), 1)


@pytest.mark.parametrize(("train", "test", "count"), [([1, 2, 3], [4, 5], 0), ([1, 2, 3], [3, 4, 3], 2), ([1], [1], 1)])
def test_images_in_memory(train, test, count):
    assert shared_images(arrays(train), arrays(test)) == count


def test_the_digits_share_none():
    assert shared_images(*(open_dataset("digits", None, split) for split in ("train", "test"))) == 0


def test_files(image_tree, tmp_path, monkeypatch):
    copy = tmp_path / "other"
    shutil.copytree(image_tree, copy)
    one, other = imagenet.load(image_tree, "train"), imagenet.load(copy, "test")
    assert shared_images(one, other) == 7 and shared_images(one.head(3), other) == 3
    changed = copy / "n01" / "1.JPEG"
    changed.write_bytes(changed.read_bytes()[::-1])  # the size stays
    assert shared_images(one, other) == 6
    monkeypatch.setattr(overlap, "MOST_FILES", 13)
    assert shared_images(one, other) == 0
