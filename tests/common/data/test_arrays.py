import numpy as np
import pytest

from common.data import CIFAR10, IMAGENET, ImageArrays, Preprocessing
from common.errors import ConfigError, DataError


@pytest.fixture
def arrays(random_images) -> ImageArrays:
    return ImageArrays(*random_images(30), 10)


def numbers(part: ImageArrays, whole: ImageArrays) -> list[int]:
    """Where each image of a part stands in the whole."""
    keys = {image.tobytes(): i for i, image in enumerate(whole.images)}
    found = [keys[image.tobytes()] for image in part.images]
    assert np.array_equal(part.labels, whole.labels[found]) and part.num_classes == whole.num_classes
    return found


def test_head_is_the_first_images(arrays):
    assert numbers(arrays.head(7), arrays) == list(range(7))
    assert numbers(arrays.head(30), arrays) == list(range(30))


@pytest.mark.parametrize("choose", [lambda a, n: a.head(n), lambda a, n: a.sample(n, 0)])
@pytest.mark.parametrize(("n", "error"), [(31, DataError), (0, ConfigError), (-1, ConfigError)])
def test_count_out_of_range(arrays, choose, n, error):
    with pytest.raises(error, match=rf"{n}.*30" if n > 0 else str(n)):
        choose(arrays, n)


def test_sample_is_random_without_replacement(arrays):
    first = numbers(arrays.sample(12, 5), arrays)
    assert len(set(first)) == 12 and first != sorted(first)
    assert first == numbers(arrays.sample(12, 5), arrays)
    assert first != numbers(arrays.sample(12, 6), arrays)
    assert first[:4] == numbers(arrays.sample(4, 5), arrays)
    assert sorted(numbers(arrays.sample(30, 5), arrays)) == list(range(30))


def test_negative_seed_is_refused(arrays):
    with pytest.raises(ConfigError, match="seed"):
        arrays.sample(3, -1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x.astype(np.float32), y), "images must be uint8"),
        (lambda x, y: (x[0], y), "images must be uint8"),
        (lambda x, y: (x[..., :1], y), "images must be uint8"),
        (lambda x, y: (x, y.astype(np.int64)), "labels must be int32"),
        (lambda x, y: (x, y[:-1]), "labels must be int32"),
        (lambda x, y: (x, y[:, None]), "labels must be int32"),
        (lambda x, y: (x, y - 5), "labels must be 0 to 9"),
        (lambda x, y: (x, y + 5), "labels must be 0 to 9"),
        (lambda x, y: (x[:0], y[:0]), "no image"),
    ],
)
def test_wrong_arrays_are_refused(random_images, change, message):
    with pytest.raises(DataError, match=message):
        ImageArrays(*change(*random_images(30)), 10)


@pytest.mark.parametrize("preprocessing", [IMAGENET, Preprocessing(24), Preprocessing(32, resize=40)])
def test_preprocessing_must_keep_the_size(arrays, preprocessing):
    with pytest.raises(ConfigError):
        arrays.check(preprocessing)


def test_batches_are_normalised_and_augmented(arrays):
    indices = np.array([4, 4, 29])
    assert np.array_equal(arrays.eval_batch(indices, CIFAR10), CIFAR10.normalize(arrays.images[indices]))
    plain = Preprocessing(32, CIFAR10.mean, CIFAR10.std)
    assert np.array_equal(arrays.train_batch(indices, plain, 0, 0), plain.normalize(arrays.images[indices]))
    augmented = arrays.train_batch(np.arange(30), CIFAR10, 0, 0)
    assert np.mean([np.array_equal(x, y) for x, y in zip(augmented, CIFAR10.normalize(arrays.images))]) < 0.2


def test_padding_is_black_before_normalisation():
    white = ImageArrays(np.full((64, 32, 32, 3), 255, np.uint8), np.zeros(64, np.int32), 1)
    values = np.unique(white.train_batch(np.arange(64), CIFAR10, 0, 0)[:, 0])
    np.testing.assert_allclose(values, [(0 - 0.4914) / 0.2023, (1 - 0.4914) / 0.2023], rtol=1e-6)
