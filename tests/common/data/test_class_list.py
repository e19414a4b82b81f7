"""Labels from the names of class folders, in both folder forms."""

import numpy as np
import pytest

from common.data import DataSelection, open_dataset, open_split
from common.data.class_names import imagenet_words, known_names, words
from common.data.registry import without_parts
from common.errors import DataError

FORMS = {"cifar10": "test", "cifar100": "test", "imagenet": "val"}


@pytest.fixture(params=FORMS)
def form(request):
    """A data set and the name of its folder of test images."""
    return request.param, FORMS[request.param]


@pytest.fixture
def make(tmp_path, write_class_folders, random_images):
    """Write one image for each class of a part; the image tells the class."""

    def write(part, names, root="data"):
        images = np.stack([np.full((32, 32, 3), 10 + index, np.uint8) for index in range(len(names))])
        return write_class_folders(tmp_path / root / part, images, np.arange(len(names)), names) and tmp_path / root

    return write


def labels(source):
    """The class name of each image."""
    return [source.class_names[label] for label in source.labels]


def test_whole_numbers_sort_as_numbers(form, make):
    dataset, part = form
    source = open_dataset(dataset, make(part, ["10", "9", "1", "2", "cat", "30"]), "test")
    assert source.class_names == ("1", "2", "9", "10", "30", "cat")


def test_a_class_that_the_test_part_lacks_shifts_no_label(form, make):
    dataset, part = form
    root = make("train", ["ant", "bee", "cow"])
    make(part, ["ant", "cow"])
    train, test = (open_dataset(dataset, root, split) for split in ("train", "test"))
    assert train.class_names == test.class_names and test.num_classes == 3
    assert test.labels.tolist() == [0, 2]


def test_each_part_may_have_its_folder(form, make):
    dataset, part = form
    train, test = make("train", ["ant", "bee", "cow"], "one"), make(part, ["bee", "cow"], "other")
    selection = DataSelection(dataset, train_path=train, eval_path=test)
    assert open_split(selection, "test").labels.tolist() == [1, 2]
    leaves = DataSelection(dataset, train_path=train / "train", eval_path=test / part)
    assert open_split(leaves, "test").labels.tolist() == [1, 2] and without_parts(leaves) is None


def test_a_class_that_the_training_part_lacks_is_refused(form, make):
    dataset, part = form
    root = make("train", ["ant", "bee"])
    make(part, ["ant", "bee", "cow"])
    with pytest.raises(DataError, match=r"cow: expected the name of a class in .*train; .*--classes FILE"):
        open_dataset(dataset, root, "test")


@pytest.mark.parametrize("name", ["wnids.txt", "classes.txt"])
@pytest.mark.parametrize("inside", [".", "part"])
def test_a_list_inside_the_data_folder_is_taken(form, make, name, inside):
    dataset, part = form
    root = make(part, ["ant", "bee", "cow"])
    (root / (part if inside == "part" else ".") / name).write_text("cow\nbee\ndog\nant\n")
    source = open_dataset(dataset, root, "test")
    assert (source.num_classes, source.labels.tolist()) == (4, [3, 1, 0])


def test_a_given_list_goes_before_one_inside(form, make, tmp_path):
    dataset, part = form
    root = make(part, ["ant", "bee"])
    (root / "classes.txt").write_text("bee\nant\n")
    (tmp_path / "mine.txt").write_text("ant\nbee\n")
    assert open_dataset(dataset, root, "test", tmp_path / "mine.txt").labels.tolist() == [0, 1]


def test_a_list_inside_does_not_reorder_the_thousand_classes(make, tmp_path):
    ids = known_names("imagenet")
    root = make("val", [ids[5], ids[2]])
    (root / "wnids.txt").write_text("\n".join(ids[::-1]))
    assert sorted(open_dataset("imagenet", root, "test").labels) == [2, 5]
    assert sorted(open_dataset("imagenet", root, "test", root / "wnids.txt").labels) == [994, 997]


@pytest.mark.parametrize(
    ("folders", "text", "names"),
    [
        (["hot dog", "pie"], "pie\nhot dog\n", ("pie", "hot dog")),
        (["0", "1"], "0 airplane\n1 bird of prey\n", ("airplane", "bird of prey")),
        (["n01440764", "n01443537"], "n01443537 goldfish\nn01440764 tench, Tinca\n", ("n01443537", "n01440764")),
        (["a", "b"], "\ufeffb\r\na\r\n\r\n", ("b", "a")),
    ],
)
def test_lines_of_a_list(make, tmp_path, folders, text, names):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    assert open_dataset("cifar10", make("test", folders), "test", tmp_path / "list.txt").class_names == names


@pytest.mark.parametrize("text", ["", "\n", "a\n\nb\n", "a\na\nb\n", "a x\nb x\n"])
def test_damaged_lists(form, make, tmp_path, text):
    dataset, part = form
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=r"list\.txt: expected one"):
        open_dataset(dataset, make(part, ["a", "b"]), "test", tmp_path / "list.txt")


def test_names_that_are_known(shared_data):
    order = tuple((shared_data / "imagenet_val" / "wnids.txt").read_text().split())
    assert known_names("imagenet") == order == tuple(sorted(order))
    assert len(imagenet_words()) == 1000 and words("n01440764") == "tench, Tinca tinca" and words("cat") == "cat"
    hundred = known_names("cifar100")
    assert len(set(hundred)) == 100 and hundred == tuple(sorted(hundred))
    assert known_names("digits") == tuple("0123456789") and known_names("mine") is None
