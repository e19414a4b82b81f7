"""Pillow's warnings and ours: one line of a run, with the file's name."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from common.data import notices
from common.data.image_file import decode, read_rgb
from common.data.pillow_warnings import collected


@pytest.fixture(autouse=True)
def a_new_run():
    notices.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield
    notices.forget()


def palette(file):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P").save(file, transparency=bytes(64))
    return file


def turned(file):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6), (200, 10, 10)).save(file, exif=exif)
    return file


def broken_exif(file):
    """A JPEG file whose EXIF data end within their first entry."""
    turned(file)
    raw = file.read_bytes()
    start = raw.index(b"Exif\0\0")
    file.write_bytes(raw[: start + 14] + b"\xff\xff" + raw[start + 16 :])
    return file


def test_one_line_for_all_warnings(tmp_path, capfd):
    files = [palette(tmp_path / f"{i}.png") for i in range(3)] + [
        turned(tmp_path / "3.jpg"),
        broken_exif(tmp_path / "4.jpg"),
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read_rgb, files))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path}") and "python -m lowbitzoo check" in line


@pytest.mark.parametrize(
    ("make", "name", "text"),
    [
        (palette, "a.png", "Transparency"),
        (turned, "a.jpg", "EXIF orientation 6 is not applied"),
        (broken_exif, "a.jpg", "EXIF"),
    ],
)
def test_the_line_names_file_and_cause(tmp_path, capfd, make, name, text):
    read_rgb(make(tmp_path / name))
    line = capfd.readouterr().err
    assert line.startswith(f"warning: {tmp_path / name}: ") and text in line and line.count("\n") == 1


def test_huge_images(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    Image.new("RGB", (8, 6)).save(tmp_path / "huge.png")
    assert read_rgb(tmp_path / "huge.png").size == (8, 6)
    assert f"warning: {tmp_path / 'huge.png'}: Image size (48 pixels) exceeds limit" in capfd.readouterr().err


def test_orientation_is_not_applied(tmp_path):
    image = decode(turned(tmp_path / "a.jpg")).image
    assert image.size == (8, 6)


def test_files_without_fault_are_read_without_a_word(tmp_path, capfd):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").remarks == ()
    read_rgb(tmp_path / "a.jpg")
    assert capfd.readouterr().err == ""


def test_warnings_of_other_threads_go_their_way():
    shown, before = [], warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
    try:
        with collected() as ours:
            thread = threading.Thread(target=warnings.warn, args=("theirs",))
            thread.start()
            thread.join()
            warnings.warn("ours", stacklevel=1)
        warnings.warn("afterwards", stacklevel=1)
    finally:
        warnings.showwarning = before
    assert (ours, shown) == (["ours"], ["theirs", "afterwards"])
