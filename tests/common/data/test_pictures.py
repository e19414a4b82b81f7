"""Pictures of any size and mode, and their most likely classes."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from common.data import IMAGENET, Preprocessing
from common.data.pictures import picture_files, predictions, read_pictures
from common.errors import ConfigError, DataError

FORM = Preprocessing(8, (0.5,) * 3, (0.25,) * 3)


def picture(path, size=(8, 8), mode="RGB", seed=0):
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels)).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(path)
    return pixels


def test_a_picture_of_the_networks_size_is_normalised_alone(tmp_path):
    pixels = picture(tmp_path / "a.png")
    expected = ((pixels / 255 - 0.5) / 0.25).transpose(2, 0, 1)
    np.testing.assert_allclose(read_pictures([tmp_path / "a.png"], FORM)[0], expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_grey_and_transparent_pictures_are_their_colours(tmp_path, mode):
    pixels = picture(tmp_path / "a.png", mode=mode)
    colours = np.repeat(pixels, 3, 2) if mode == "L" else pixels[..., :3]
    expected = ((colours / 255 - 0.5) / 0.25).transpose(2, 0, 1)
    np.testing.assert_allclose(read_pictures([tmp_path / "a.png"], FORM)[0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (100, 17), (400, 300)])
def test_any_size_gives_the_networks_size(tmp_path, size):
    picture(tmp_path / "a.png", size)
    for form in (FORM, IMAGENET):
        images = read_pictures([tmp_path / "a.png"], form)
        assert images.shape == (1, 3, form.image_size, form.image_size) and np.isfinite(images).all()


def test_the_middle_of_a_wide_picture_is_seen(tmp_path):
    pixels = picture(tmp_path / "a.png", (16, 8))
    expected = ((pixels[:, 4:12] / 255 - 0.5) / 0.25).transpose(2, 0, 1)
    np.testing.assert_allclose(read_pictures([tmp_path / "a.png"], FORM)[0], expected, atol=1e-5)


def test_folders_are_the_pictures_in_them(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/z.png", "a.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("none")
    files = picture_files([tmp_path, tmp_path / "b" / "z.png"])
    assert [file.name for file in files] == ["a.png", "z.png", "z.png"]


def test_the_most_likely_classes_come_first():
    logits = np.array([[0.0, 2.0, 2.0, -1.0]], np.float32)
    (found,) = predictions(["a.png"], logits, ("w", "x", "y", "z"), 3)
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert [name for name, _ in found.classes] == ["x", "y", "w"]
    np.testing.assert_allclose([share for _, share in found.classes], shares[[1, 2, 0]], rtol=1e-6)
    assert found.lines()[0] == "a.png" and found.lines()[1].split() == [f"{100 * shares[1]:.2f}", "%", "x"]


def test_imagenet_ids_are_words_and_no_names_are_numbers():
    (found,) = predictions(["a"], np.array([[1.0, 0.0]], np.float32), ("n01440764", "n01443537"))
    assert found.lines()[1].endswith("tench, Tinca tinca")
    (found,) = predictions(["a"], np.array([[1.0, 0.0]], np.float32), None)
    assert found.classes[0][0] == "class 0"


def test_faults_are_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    for path, words in ((tmp_path / "none.png", "no such file"), (tmp_path / "empty", "none in this folder")):
        with pytest.raises(DataError, match=words):
            picture_files([path])
    with pytest.raises(DataError, match="not a readable image"):
        read_pictures([tmp_path / "text.png"], FORM)
    with pytest.raises(ConfigError, match="expected 2 names"):
        list(predictions(["a"], np.zeros((1, 2)), ("one",)))
    with pytest.raises(ConfigError, match="logits that are numbers"):
        list(predictions(["a"], np.full((1, 2), np.nan), None))


def test_no_mindspore_is_needed():
    code = "import sys, common.data.pictures; print('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
