"""Pixels of every mode in every format that Pillow writes, against torchvision's loader and the rule for 16 bits."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from common.data import open_dataset
from common.data.image_file import FORMATS, decode, read_rgb, suffixes
from common.errors import DataError

Image.init()
WRITTEN = [form for form in FORMATS if form in Image.SAVE]
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"]
_RNG = np.random.default_rng(7)
COLOURS = Image.fromarray(_RNG.integers(0, 256, (16, 12, 3), np.uint8))
GREY16 = _RNG.integers(0, 2**16, (16, 12)).astype(np.uint16)


def loader(file) -> np.ndarray:
    """torchvision's ``pil_loader``, uint8 (H, W, 3)."""
    with file.open("rb") as stream:
        return np.asarray(Image.open(stream).convert("RGB"))


def in_mode(mode: str) -> Image.Image:
    return COLOURS.convert("L").convert(mode) if mode in ("LA", "PA") else COLOURS.convert(mode)


def writes(mode: str, form: str) -> bool:
    try:
        in_mode(mode).save(io.BytesIO(), form)
    except (OSError, ValueError, KeyError):
        return False
    return True


@pytest.mark.parametrize(("mode", "form"), [pair for pair in itertools.product(MODES, WRITTEN) if writes(*pair)])
def test_eight_bits_are_what_torchvision_sees(tmp_path, mode, form):
    file = tmp_path / f"image.{form.lower()}"
    in_mode(mode).save(file, form)
    assert np.array_equal(np.asarray(read_rgb(file)), loader(file))


@pytest.mark.parametrize(("form", "suffix"), [("PNG", "png"), ("TIFF", "tif"), ("JPEG2000", "jp2"), ("PPM", "pgm")])
def test_sixteen_bits_count_by_the_high_byte(tmp_path, form, suffix):
    Image.fromarray(GREY16).save(tmp_path / f"grey.{suffix}", form)
    expected = np.repeat((GREY16 // 256).astype(np.uint8)[..., None], 3, axis=2)
    assert np.array_equal(np.asarray(read_rgb(tmp_path / f"grey.{suffix}")), expected)


def test_sixteen_bits_of_eight_are_these(tmp_path):
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for factor in (256, 257):
        Image.fromarray(grey * factor).save(tmp_path / "grey.png")
        assert np.array_equal(np.asarray(read_rgb(tmp_path / "grey.png"))[..., 2], grey)


def test_digits_of_sixteen_bits_are_the_digits(tmp_path):
    digits = open_dataset("digits", None, "test").head(40)
    for number, (image, label) in enumerate(zip(digits.images, digits.labels)):
        (tmp_path / "test" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(tmp_path / "test" / str(label) / f"{number:03}.png")
    order = np.argsort(digits.labels, kind="stable")
    grey16 = open_dataset("cifar10", tmp_path, "test")
    assert np.array_equal(grey16.images, digits.images[order]) and np.array_equal(grey16.labels, digits.labels[order])


def test_big_endian_tiff(tmp_path):
    Image.fromarray(GREY16.astype(">u2")).save(tmp_path / "grey.tif")
    decoded = decode(tmp_path / "grey.tif")
    assert decoded.mode == "I;16B" and np.array_equal(np.asarray(decoded.image)[..., 0], GREY16 // 256)


def test_white_is_zero(tmp_path):
    Image.fromarray(GREY16).save(tmp_path / "grey.tif", tiffinfo={262: 0})
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "grey.tif"))[..., 0], 255 - GREY16 // 256)


@pytest.mark.parametrize(
    ("dtype", "suffix", "numbers"),
    [
        (np.float32, "tif", "floating-point numbers"),
        (np.float32, "pfm", "floating-point numbers"),
        (np.int32, "tif", "whole numbers of 32 bits"),
    ],
)
def test_numbers_without_a_scale_are_refused(tmp_path, dtype, suffix, numbers):
    Image.fromarray(np.ones((16, 16), dtype)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(DataError, match=rf"a\.{suffix}: expected pixels of 8 or 16 bits, found {numbers}") as error:
        read_rgb(tmp_path / f"a.{suffix}")
    assert "\n" not in str(error.value)


def test_transparency_is_dropped(tmp_path):
    pixels = np.dstack([np.asarray(COLOURS), np.zeros((16, 12), np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "clear.png")), pixels[..., :3])
    palette = COLOURS.quantize(16)
    palette.save(tmp_path / "palette.png", transparency=bytes(range(16)))
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "palette.png")), np.asarray(palette.convert("RGB")))


def test_first_frame_of_several(tmp_path):
    COLOURS.save(tmp_path / "frames.png", save_all=True, append_images=[COLOURS.rotate(180)])
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "frames.png")), np.asarray(COLOURS))


def test_usual_suffixes_are_read_and_others_are_not():
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"} <= suffixes()
    assert not {".eps", ".ps", ".pdf", ".h5", ".fits", ".wmf", ".txt", ".npy", ""} & suffixes()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 40, ""),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, what):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.png: not a readable image \({what}.*\); replace or remove"):
        read_rgb(tmp_path / "a.png")


def test_a_damaged_file_does_not_pass_for_a_format_without_a_mark(tmp_path):
    COLOURS.save(tmp_path / "image.tga")
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "image.tga")), np.asarray(COLOURS))
    (tmp_path / "image.tga").rename(tmp_path / "image.png")
    with pytest.raises(DataError, match="not a readable image"):
        read_rgb(tmp_path / "image.png")
