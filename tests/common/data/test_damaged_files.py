"""Damaged and hostile files: only DataError escapes, nothing runs, memory stays bounded."""

import io
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.data import ImageArrays, cifar10
from common.data.image_file import read_rgb
from common.errors import DataError


def mutations(raw: bytes, count: int, seed: int):
    """Truncations, bit flips, foreign bytes, cuts and repeats of pieces, in equal shares."""
    rng = np.random.default_rng(seed)
    for case in range(count):
        start, end = np.sort(rng.integers(0, len(raw), 2))
        data = bytearray(raw)
        if case % 5 == 0:
            del data[start:]
        elif case % 5 == 1:
            for position in rng.integers(0, len(raw), 1 + case % 4):
                data[position] ^= 1 << rng.integers(8)
        elif case % 5 == 2:
            data[start] = rng.integers(256)
        elif case % 5 == 3:
            del data[start : min(end, start + 40)]
        else:
            data[start:start] = data[start : min(end, start + 40)]
        yield bytes(data)


def test_damaged_binary(tmp_path, random_images, write_binary):
    file = write_binary(tmp_path / "test_batch.bin", *random_images(2))
    raw, refused = file.read_bytes(), 0
    for data in [*mutations(raw, 300, 0), b"", raw[:3073], raw + raw]:
        file.write_bytes(data)
        try:
            assert isinstance(cifar10.load(tmp_path, "test"), ImageArrays)
        except DataError as error:
            refused += 1
            assert str(file) in str(error)
    assert 100 < refused < 303


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_damaged_pickle(tmp_path, random_images, write_pickle, protocol):
    file = write_pickle(tmp_path / "test_batch", *random_images(2), protocol)
    raw = file.read_bytes()
    pixels = raw.index(random_images(2)[0].transpose(0, 3, 1, 2).tobytes()[:4]) if protocol > 2 else None
    # Most bytes are pixels, where damage cannot be seen: the rest is mutated on its own as well.
    heads = [] if pixels is None else [m + raw[pixels:] for m in mutations(raw[:pixels], 150, 1)]
    refused = 0
    for data in [*mutations(raw, 150, 2), *heads, b"", raw[:-1], raw[:1]]:
        file.write_bytes(data)
        try:
            assert isinstance(cifar10.load(tmp_path, "test"), ImageArrays)
        except DataError as error:
            refused += 1
            assert str(file) in str(error)
    assert refused > 60


class _Runs:
    """Unpickling calls ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "label", "data", "key"])
def test_foreign_global_does_not_run(tmp_path, random_images, protocol, place):
    sentinel = tmp_path / "sentinel"
    hostile = _Runs(Path.touch, sentinel)
    images, labels = random_images(2)
    values = {b"data": images.reshape(2, 3072), b"labels": labels.tolist()}
    if place == "label":
        values[b"labels"][0] = hostile
    elif place == "data":
        values[b"data"] = hostile
    elif place == "key":
        values[hostile] = 1
    raw = pickle.dumps(hostile if place == "alone" else values, protocol)
    (tmp_path / "test_batch").write_bytes(raw)
    with pytest.raises(DataError):
        cifar10.load(tmp_path, "test")
    assert not sentinel.exists()
    pickle.loads(raw)
    assert sentinel.exists()  # the file was hostile


@pytest.mark.parametrize(
    "name",
    ["os system", "builtins eval", "numpy.core.multiarray scalar", "numpy load", "_codecs decode", "numpy dtype.type"],
)
def test_foreign_global_is_named(tmp_path, name):
    module, attribute = name.split()
    (tmp_path / "test_batch").write_bytes(f"\x80\x02c{module}\n{attribute}\n.".encode("latin-1"))
    with pytest.raises(DataError, match=f"asks for the global '{module}.{attribute}'"):
        cifar10.load(tmp_path, "test")


GIGABYTES = (2**34).to_bytes(8, "little")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # memo index
        b"\x80\x04\x8e" + GIGABYTES + b".",  # length of bytes
        b"\x80\x05\x96" + GIGABYTES + b".",  # length of a bytearray
        b"\x80\x04\x95" + GIGABYTES + b".",  # length of a frame
        b"\x80\x02T\xff\xff\xff\x7f.",  # length of a string
        b"\x80\x02}(" + b")" + b"\x85" * 300_000 + b"K\x01u.",  # a key nested 300,000 deep
        b"\x80\x02" + b"(" * 300_000 + b".",
        b"\x80\x02c_codecs\nencode\nX\x04\x00\x00\x00textX\x05\x00\x00\x00punch\x86R.",
        b"\x80\x02cnumpy\nndarray\nK\x00\x85R.",
        b"\x80\x02cnumpy\nndarray\n}b.",
    ],
)
def test_declared_sizes_are_not_believed(tmp_path, raw):
    (tmp_path / "test_batch").write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(DataError):
        cifar10.load(tmp_path, "test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_one_text_encoded_again_and_again(tmp_path):
    text = b"X" + (2**20).to_bytes(4, "little") + b"a" * 2**20 + b"q\x00"
    encode = b"c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x02"
    raw = b"\x80\x02" + text + encode + b"](" + b"h\x01h\x00h\x02\x86R" * 500 + b"e."
    (tmp_path / "test_batch").write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(DataError, match="or repeats"):
        cifar10.load(tmp_path, "test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_damaged_image(tmp_path, random_images, form):
    stream = io.BytesIO()
    Image.fromarray(random_images(1)[0][0]).save(stream, form)
    file, refused = tmp_path / "image.png", 0
    for data in [*mutations(stream.getvalue(), 300, 3), b"", stream.getvalue()[:-20]]:
        file.write_bytes(data)
        try:
            assert read_rgb(file, (32, 32)).mode == "RGB"
        except DataError as error:
            refused += 1
            assert str(file) in str(error)
    assert refused > 60


def test_truncated_image_in_a_class_folder(tmp_path, random_images, write_class_folders):
    write_class_folders(tmp_path, random_images(10)[0], np.arange(10))
    file = tmp_path / "dog" / "0005.png"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"dog/0005\.png: not a readable image"):
        cifar10.load(tmp_path, "test")


@pytest.mark.parametrize("size", [(32, 31), (28, 28), (64, 64)])
def test_image_of_another_size(tmp_path, random_images, write_class_folders, size):
    write_class_folders(tmp_path, random_images(10)[0], np.arange(10))
    Image.new("RGB", size).save(tmp_path / "cat" / "0003.png")
    with pytest.raises(
        DataError, match=rf"cat/0003\.png: expected an image of 32x32 pixels, found {size[0]}x{size[1]}"
    ):
        cifar10.load(tmp_path, "test")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_other_colour_modes_become_rgb(tmp_path, mode):
    name = "image.jpg" if mode == "CMYK" else "image.png"
    Image.new("RGB", (32, 32), (204, 204, 204)).convert(mode).save(tmp_path / name)
    image = read_rgb(tmp_path / name)
    assert image.mode == "RGB" and np.asarray(image).shape == (32, 32, 3)
    # The web palette holds 204; the JPEG of the CMYK image may be a level off, and one bit is dithered.
    assert mode == "1" or np.abs(np.asarray(image).astype(int) - 204).max() <= (mode == "CMYK")


def test_no_decoder_that_starts_a_program_is_used(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "image.eps")
    (tmp_path / "image.eps").rename(tmp_path / "image.png")
    with pytest.raises(DataError, match="not a readable image"):
        read_rgb(tmp_path / "image.png")


def test_a_length_in_a_png_file_is_not_allocated(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (32, 32)).save(content, "PNG")
    length = content.getvalue().index(b"IDAT") - 4
    content.seek(length)
    content.write(b"\xff" * 4)
    (tmp_path / "a.png").write_bytes(content.getvalue())
    tracemalloc.start()
    assert read_rgb(tmp_path / "a.png").getextrema() == ((0, 0),) * 3  # the pixels themselves are whole
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
