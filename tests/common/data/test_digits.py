import hashlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from common.data import DIGITS, digits
from common.errors import ConfigError


@pytest.fixture(scope="module")
def original():
    return load_digits()


def test_split_covers_every_image_once(original):
    train, test = digits.split_indices(original.target)
    assert (len(train), len(test)) == (1437, 360)
    assert sorted([*train, *test]) == list(range(1797))


def test_split_is_stratified(original):
    _, test = digits.split_indices(original.target)
    share = np.bincount(original.target[test]) - np.bincount(original.target) / 5
    assert np.abs(share).max() <= 1


def test_split_never_changes(original):
    # Shipped checkpoints were trained on this split: another one would test them on their training images.
    indices = np.concatenate(digits.split_indices(original.target)).astype("<i4")
    assert hashlib.sha256(indices.tobytes()).hexdigest()[:16] == "fe71061364a63812"


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_the_enlarged_originals(original, split):
    arrays = digits.load(split)
    indices = digits.split_indices(original.target)[split == "test"]
    assert arrays.num_classes == 10 and np.array_equal(arrays.labels, original.target[indices])
    for number in range(0, len(arrays), 97):
        grey = Image.fromarray((original.images[indices[number]] * 255 / 16 + 0.5).astype(np.uint8))
        expected = np.asarray(grey.resize((32, 32), Image.BILINEAR).convert("RGB"))
        assert np.array_equal(arrays.images[number], expected)


def test_levels_span_the_range(original):
    images = digits.load("train").images
    assert images.shape == (1437, 32, 32, 3) and images.min() == 0 and images.max() == 255
    assert np.array_equal(images[..., 0], images[..., 1]) and np.array_equal(images[..., 0], images[..., 2])


def test_preprocessing_has_the_statistics_of_the_training_images():
    images = digits.load("train").images / 255
    np.testing.assert_allclose(DIGITS.mean, images.mean(axis=(0, 1, 2)), atol=5e-5)
    np.testing.assert_allclose(DIGITS.std, images.std(axis=(0, 1, 2)), atol=5e-5)


def test_same_images_each_time():
    first, second = digits.load("test"), digits.load("test")
    assert np.array_equal(first.images, second.images) and np.array_equal(first.labels, second.labels)


def test_unknown_split():
    with pytest.raises(ConfigError, match="split"):
        digits.load("val")
