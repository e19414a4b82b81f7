"""Folders that are not sorted as expected: one line that says what lies there and what to do."""

import re

import numpy as np
import pytest
from PIL import Image

from common.data import cifar10, imagenet, notices
from common.errors import DataError


@pytest.fixture(autouse=True)
def a_new_run():
    notices.forget()
    yield
    notices.forget()


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("RGB", (32, 32)).save(root / name)
        else:
            (root / name).write_bytes(b"x")
    return root


LAYOUTS = {
    "flat": (
        ["val/a.png", "val/b.png"],
        r"val: expected one folder .*, found 2 image files \(a.png",
    ),
    "flat root": (["a.png"], "found 1 image file .*sort them into a folder for each class"),
    "tars": (
        ["val/n01.tar", "val/n02.tar"],
        r"found 2 archives \(n01.tar, n02.tar\).*tar -xf",
    ),
    "deep": (
        ["val/imgs/n01/a.png"],
        "imgs: expected image files.*one level deeper; give .*imgs if",
    ),
    "deeper": (["imagenet/val/n01/a.png"], r"class folders one level deeper, in .*/imagenet/val; give .*/imagenet"),
    "validation": (
        ["train/n01/a.png", "validation/n01/a.png"],
        "expected a folder val, found validation; rename",
    ),
    "test": (["train/n01/a.png", "test/n01/a.png"], "found test; rename it, or give --eval_dataset_path .*/test"),
    "validation alone": (
        ["validation/n01/a.png"],
        "validation: expected image files.*give .*validation",
    ),
    "flat parts": (["training/a.png", "validation/a.png"], r"found parts of a data set \(training, validation\)"),
    "tars in classes": (["val/n01/a.png", "val/n02/n02.tar"], "n02: expected image files.*1 archive .*unpack"),
    "texts in a class": (["val/n01/a.png", "val/n02/a.txt"], r"n02: expected image files.*found none, but a\.txt"),
    "empty": (["val/.hidden"], "val: expected one folder of images for each class, found no folder; check the path"),
    "system alone": (["val/__MACOSX/a.png"], "val: expected one folder of images for each class, found no folder"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_lies_there_is_said(tmp_path, name):
    files, message = LAYOUTS[name]
    with pytest.raises(DataError, match=message) as error:
        imagenet.load(put(tmp_path, *files), "test")
    assert "\n" not in str(error.value)


CIFAR_LAYOUTS = {
    "val": (
        ["train/cat/a.png", "val/cat/a.png"],
        "expected a folder test, found val; rename it",
    ),
    "archive": (["cifar-10-binary.tar.gz"], r"found cifar-10-binary\.tar\.gz \(1 archive .*to unpack\)"),
    "deep": (["images/test/cat/a.png"], "one level deeper, in .*/images"),
    "flat": (["a.png", "b.png"], r"found a\.png, b\.png \(2 image files .*side by side"),
    "flat test": (["test/a.png"], "test: expected one folder of images for each class, found 1 image file"),
}


@pytest.mark.parametrize("name", CIFAR_LAYOUTS)
def test_cifar_folders(tmp_path, name):
    files, message = CIFAR_LAYOUTS[name]
    with pytest.raises(DataError, match=message):
        cifar10.load(put(tmp_path, *files), "test")


@pytest.mark.parametrize(
    "system", ["__MACOSX", "@eaDir", "lost+found", ".ipynb_checkpoints", "$RECYCLE.BIN", "#recycle"]
)
def test_system_folders_are_ignored(tmp_path, capsys, system):
    put(tmp_path, "n01/a.png", "n02/a.png", f"{system}/a.png", f"n01/{system}/b.png", "n02/Thumbs.db", "n01/.DS_Store")
    source = imagenet.load(tmp_path, "test")
    assert len(source) == 2 and source.num_classes == 2 and capsys.readouterr().err == ""


def test_skipped_files_are_counted_once(tmp_path, capsys):
    put(tmp_path, "n01/a.png", "n01/a.txt", "n01/b.txt", "n02/a.webp.part", "n02/a.png", "n02/raw", "n02/more/c.png")
    for _ in range(2):
        assert len(imagenet.load(tmp_path, "test")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"{tmp_path}: 5 files were skipped, no image by its suffix (2 .txt, 1 folder, 1 without suffix, 1 .part)"
    assert sorted(re.split("[ ,()]+", line)) == sorted(re.split("[ ,()]+", f"warning: {expected}, such as n01/a.txt"))


def test_every_suffix_that_pillow_writes_is_an_image_of_a_class(tmp_path):
    (tmp_path / "n01").mkdir()
    suffixes = ("webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "JPG", "jpe", "jfif", "jp2", "tga", "PNG")
    for suffix in suffixes:
        Image.fromarray(np.full((32, 32), 77, np.uint8)).save(tmp_path / "n01" / f"a.{suffix}")
    source = imagenet.load(tmp_path, "test")
    assert len(source) == len(suffixes)
    assert len(cifar10_pixels(source.files)) == len(suffixes)


def cifar10_pixels(files):
    return [cifar10._pixels(file) for file in files]
