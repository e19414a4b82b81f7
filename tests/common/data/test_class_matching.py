"""Which images fit a network, and by which labels."""

import numpy as np
import pytest

from common.data import ImageArrays, open_dataset
from common.data.class_names import known_names
from common.data.matching import Classes, class_record, match, recorded_classes
from common.errors import CheckpointError, ConfigError

PETS = ("ant", "bee", "cow", "dog")


def images(names, count=None):
    """One image of each class."""
    count = count or len(names)
    return ImageArrays(np.zeros((count, 2, 2, 3), np.uint8), np.arange(count, dtype=np.int32), count, names)


def matched(names, network, count=None):
    return match(images(names, count), network, "do something")


@pytest.mark.parametrize(
    ("data", "network"),
    [
        (PETS, Classes(4, PETS)),
        (None, Classes(4, PETS)),
        (PETS, Classes(4)),
        (("Ant", "BEE", "cow", "dog "), Classes(4, PETS)),
        (("palm tree", "ice-cream"), Classes(2, ("palm_tree", "ice_cream"))),
    ],
)
def test_labels_that_stay(data, network):
    result = matched(data, network, network.count)
    assert result.images.labels.tolist() == list(range(network.count)) and result.note == ""


@pytest.mark.parametrize(
    ("data", "labels"), [(PETS[::-1], [3, 2, 1, 0]), (("bee", "dog"), [1, 3]), (("dog", "ant", "cow"), [3, 0, 2])]
)
def test_labels_by_name(data, labels):
    result = matched(data, Classes(4, PETS))
    assert result.images.labels.tolist() == labels and result.images.labels.dtype == np.int32
    assert (result.images.num_classes, result.images.class_names) == (4, PETS)
    assert (
        result.note == f"labels matched by name: {len(data)} classes of the images, among 4 classes ({', '.join(PETS)})"
    )


def test_some_of_the_thousand_classes():
    ids = known_names("imagenet")
    some = (ids[7], ids[500], ids[3])
    for network in (Classes(1000), Classes(1000, ids)):
        result = matched(some, network)
        assert result.images.labels.tolist() == [7, 500, 3] and result.images.num_classes == 1000
    with pytest.raises(ConfigError, match="expected images of 1000 classes, found 4 classes"):
        matched(PETS, Classes(1000))
    with pytest.raises(ConfigError, match="expected images of 999 classes"):
        matched(some, Classes(999))


def test_a_list_of_all_thousand_classes_says_the_order_of_a_network_that_records_none():
    ids = known_names("imagenet")[::-1]
    assert matched(ids, Classes(1000)).images.labels.tolist() == list(range(1000))
    assert matched(ids, recorded_classes({"num_classes": 1000, "dataset": "imagenet"})).images.labels[0] == 999


@pytest.mark.parametrize("first", [1, 5])
def test_numbers_in_a_row_are_an_order(first):
    result = matched(tuple(str(first + k) for k in range(10)), Classes(10, known_names("digits")))
    assert result.images.labels.tolist() == list(range(10))
    assert result.note == f"classes {first} to {first + 9} of the images are taken for 0 to 9"


@pytest.mark.parametrize(
    ("data", "network"),
    [
        (known_names("digits"), Classes(10, known_names("cifar10"))),
        (known_names("cifar10"), Classes(10, known_names("digits"))),
        (("1", "2", "4"), Classes(3, ("0", "1", "2"))),
        (("ant", "bee", "cow", "elk"), Classes(4, PETS)),
        (("ant", "Ant"), Classes(4, PETS)),
        (PETS, Classes(3, PETS[:3])),
        (PETS, Classes(5)),
        (None, Classes(5, (*PETS, "elk"))),
    ],
)
def test_other_classes_are_refused(data, network):
    with pytest.raises(ConfigError, match=r"^expected images of \d+ classes.*, found \d+ classes.*; do something$"):
        matched(data, network, 4 if data is None else None)


def test_what_metadata_record():
    assert recorded_classes({"num_classes": 4, "class_names": list(PETS), "dataset": "cifar10"}) == Classes(4, PETS)
    assert recorded_classes({"num_classes": 10, "dataset": "cifar10"}).names == known_names("cifar10")
    assert recorded_classes({"num_classes": 7, "dataset": "cifar10"}) == Classes(7)
    assert recorded_classes({"num_classes": 10}) == Classes(10) and recorded_classes({}) is None


@pytest.mark.parametrize("names", ["abcd", ["a", "b"], ["a", "b", "b", "c"], [1, 2, 3, 4], {"a": 0}])
def test_damaged_names(names):
    with pytest.raises(CheckpointError, match=r"^file: expected class_names"):
        recorded_classes({"num_classes": 4, "class_names": names}, "file")


def test_what_is_recorded():
    assert class_record(images(PETS)) == {"class_names": list(PETS)} and class_record(images(None, 3)) == {}
    numbered = images(tuple("123"))
    assert class_record(numbered, {"num_classes": 3, "class_names": ["0", "1", "2"]}) == {
        "class_names": ["0", "1", "2"]
    }


@pytest.mark.parametrize("n", [1, 9, 10, 36, 360])
def test_a_spread_over_the_classes(n):
    source = open_dataset("digits", None, "test")
    by_class = source.take(np.argsort(source.labels, kind="stable"))
    part = by_class.spread(n)
    counts = np.bincount(part.labels, minlength=10)
    assert len(part) == n and counts.max() - counts.min() <= (1 if n < 340 else 4)
    assert np.array_equal(part.labels, np.sort(part.labels)) and np.array_equal(part.images, by_class.spread(n).images)


def test_a_spread_of_unequal_classes():
    source = ImageArrays(np.zeros((8, 2, 2, 3), np.uint8), np.array([0, 0, 0, 0, 0, 0, 1, 3], np.int32), 4)
    assert sorted(source.spread(5).labels.tolist()) == [0, 0, 0, 1, 3]
