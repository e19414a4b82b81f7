"""Images that are kept from training: which ones, how many of each class, and what cannot be kept."""

import numpy as np
import pytest

from common.data import ImageArrays
from common.errors import ConfigError, DataError


def numbered(labels, classes=10):
    """Images whose first pixel is their number."""
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return ImageArrays(images, np.array(labels, np.int32), classes)


def numbers(part):
    return part.images[:, 0, 0, 0].tolist()


LABELS = [0] * 20 + [1] * 7 + [3] * 40 + [4] * 5  # class 2 has no image


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize(
    ("n", "counts"),
    [(4, (1, 1, 1, 1)), (8, (2, 2, 2, 2)), (12, (3, 3, 3, 3)), (16, (4, 4, 4, 4))],
)
def test_all_classes_are_held_out_alike(n, counts, seed):
    whole = numbered(LABELS)
    rest, kept = whole.hold_out(n, seed)
    assert len(kept) == n and tuple(np.bincount(kept.labels)[[0, 1, 3, 4]]) == counts
    assert sorted(numbers(rest) + numbers(kept)) == list(range(len(LABELS)))  # none lost, none in both
    for part in (rest, kept):
        assert numbers(part) == sorted(numbers(part)) and part.num_classes == 10
        assert part.labels.tolist() == [LABELS[number] for number in numbers(part)]


@pytest.mark.parametrize("n", [5, 6, 7, 13])
def test_what_does_not_divide_is_spread(n):
    counts = np.bincount(numbered(LABELS).hold_out(n, 3)[1].labels)[[0, 1, 3, 4]]
    assert counts.sum() == n and counts.max() - counts.min() == 1


def test_the_seed_alone_chooses():
    whole = numbered(LABELS)
    kept = [numbers(whole.hold_out(12, seed)[1]) for seed in (5, 5, 6)]
    assert kept[0] == kept[1] != kept[2]
    assert numbers(whole.hold_out(12, 5)[1]) != numbers(whole.spread(12))


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (3, DataError, "3 images cannot hold one of each of the 4 classes; keep more of them"),
        (20, DataError, "20 images would take all 5 images of class 4; keep fewer of them"),
        (73, DataError, "the data set holds 72"),
        (0, ConfigError, "at least 1, found 0"),
    ],
)
def test_numbers_that_cannot_be_held_out(n, error, message):
    with pytest.raises(error, match=message):
        numbered(LABELS).hold_out(n, 0)


def test_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed"):
        numbered(LABELS).hold_out(8, -1)
