"""The Python release of CIFAR-10: what NumPy 1 and 2, Python 2 and 3 write."""

import pickle
import struct

import numpy as np
import pytest
from cifar10_checks import assert_holds

from common.data import cifar10
from common.errors import DataError


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("text_keys", [False, True])
def test_every_binary_protocol(tmp_path, random_images, write_pickle, protocol, text_keys):
    train, test = random_images(600), random_images(3, 1)  # above 256 names the memo index takes four bytes
    folder = tmp_path / "cifar-10-batches-py"
    for number, part in enumerate((slice(0, 350), slice(350, 600)), 1):
        write_pickle(folder / f"data_batch_{number}", train[0][part], train[1][part], protocol, text_keys)
    write_pickle(folder / "test_batch", *test, protocol, text_keys)
    for path in (tmp_path, folder):
        assert_holds(cifar10.load(path, "train"), *train)
        assert_holds(cifar10.load(path, "test"), *test)


def test_file_as_python_2_wrote_it(tmp_path, random_images):
    images, labels = random_images(300)
    raw = python_2_pickle(images.transpose(0, 3, 1, 2).tobytes(), labels.tolist())
    oracle = pickle.loads(raw, encoding="bytes")
    assert oracle[b"labels"] == labels.tolist() and oracle[b"data"].shape == (300, 3072)
    (tmp_path / "test_batch").write_bytes(raw)
    assert_holds(cifar10.load(tmp_path, "test"), images, labels)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop(b"labels"),
        lambda v: v.pop(b"data"),
        lambda v: v.update({b"labels": v[b"labels"][:-1]}),
        lambda v: v.update({b"labels": [*v[b"labels"][:-1], "3"]}),
        lambda v: v.update({b"labels": [*v[b"labels"][:-1], True]}),
        lambda v: v.update({b"labels": [*v[b"labels"][:-1], 10]}),
        lambda v: v.update({b"labels": [*v[b"labels"][:-1], -1]}),
        lambda v: v.update({b"labels": b"\0" * 5}),
        lambda v: v.update({b"data": v[b"data"].astype(np.float32)}),
        lambda v: v.update({b"data": v[b"data"].astype(np.int8)}),
        lambda v: v.update({b"data": v[b"data"][:, :-1]}),
        lambda v: v.update({b"data": v[b"data"][0]}),
        lambda v: v.update({b"data": np.asfortranarray(v[b"data"])}),
        lambda v: v.update({b"data": v[b"data"].astype(object)}),
        lambda v: v.update({b"data": v[b"data"].tobytes()}),
        lambda v: v.update({b"data": None, b"labels": []}),
        lambda v: v.update({b"data": v[b"data"][:0], b"labels": []}),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_wrong_content(tmp_path, random_images, change, protocol):
    images, labels = random_images(5)
    values = {
        b"data": images.reshape(5, 3072),
        b"labels": labels.tolist(),
        b"batch_label": b"test",
        b"filenames": [],
    }
    change(values)
    (tmp_path / "test_batch").write_bytes(pickle.dumps(values, protocol))
    with pytest.raises(DataError, match="test_batch"):
        cifar10.load(tmp_path, "test")


@pytest.mark.parametrize("values", [[], None, 3, b"text", {}])
def test_no_dictionary_of_arrays(tmp_path, values):
    (tmp_path / "test_batch").write_bytes(pickle.dumps(values, 2))
    with pytest.raises(DataError, match="test_batch: not a CIFAR file"):
        cifar10.load(tmp_path, "test")


def python_2_pickle(raw: bytes, labels: list[int]) -> bytes:
    """What cPickle of Python 2.7 makes, opcode by opcode: byte strings as SHORT_BINSTRING and BINSTRING."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    short = struct.pack("<H", len(labels))
    dtype = b"cnumpy\ndtype\nq\x0dU\x02u1q\x0eK\x00K\x01\x87q\x0fRq\x10"
    dtype += b"(K\x03U\x01|q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x12b"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85q\x08U\x01bq\x09\x87q\x0aRq\x0b"
    array += b"(K\x01M" + short + b"M\x00\x0c\x86q\x0c" + dtype
    array += b"\x89T" + struct.pack("<I", len(raw)) + raw + b"q\x13tq\x14b"
    names = b"]q\x16(" + b"".join(text(b"camion_s_%06d.png" % i) for i in range(len(labels))) + b"e"
    items = text(b"batch_label") + b"q\x02" + text(b"testing batch 1 of 1") + b"q\x03"
    items += text(b"labels") + b"q\x04]q\x05(" + b"".join(b"K" + bytes([y]) for y in labels) + b"e"
    items += text(b"data") + array + text(b"filenames") + b"q\x15" + names
    return b"\x80\x02}q\x01(" + items + b"u."
