"""Images in both parts, in memory and on disk."""

import pytest

from common.data import ImageArrays, imagenet, notices
from common.data.overlap import say_shared, shared_images


@pytest.fixture(autouse=True)
def a_new_run():
    notices.forget()
    yield
    notices.forget()


def test_images_in_memory(random_images, capsys):
    train, test = (ImageArrays(*random_images(n, n), 10) for n in (9, 5))
    say_shared(train, test)
    assert capsys.readouterr().err == ""
    test.images[[1, 4]] = train.images[[8, 0]]
    say_shared(train, test)
    assert "warning: 2 of 5 test images are training images too" in capsys.readouterr().err


def test_one_folder_for_both_parts(image_tree, tmp_path):
    (tmp_path / "link").symlink_to(image_tree)
    train, test = imagenet.load(image_tree, "train"), imagenet.load(tmp_path / "link", "test")
    assert shared_images(train, test) == 7 and shared_images(train.head(2), test) == 2
