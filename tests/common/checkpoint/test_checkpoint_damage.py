"""Damaged checkpoints, and saving that fails."""

import os

import numpy as np
import pytest
from checkpoint_samples import SUFFIXES, assert_same_tensors, save_with_mindspore

from common.checkpoint import load, save, store
from common.errors import CheckpointError, QuantizationError

SMALL = {"a": np.array([1.5, -2], np.float32), "c": np.array([1, 2, 3], np.uint8), "s": np.array(7, np.int32)}


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"net{request.param}"


def save_small(path):
    save(path, SMALL, {"m": 1}, packed={"c": 2})
    return path.read_bytes()


def write_byte(path, position, value):
    """Change a file in place, much faster than writing all of it."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(bytes([value]))


def test_every_flipped_bit_is_found(path, capfd):
    content = save_small(path)
    refused = 0
    for bit in range(8 * len(content)):
        write_byte(path, bit // 8, content[bit // 8] ^ 1 << bit % 8)
        try:
            checkpoint = load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert checkpoint.metadata == {"m": 1}
            assert_same_tensors(checkpoint.tensors, SMALL)
        write_byte(path, bit // 8, content[bit // 8])
    assert path.read_bytes() == content
    assert refused > 0.95 * 8 * len(content)
    assert capfd.readouterr() == ("", "")


def test_every_truncation_and_trailing_byte_is_found(path):
    content = save_small(path)
    for damaged in [content[:length] for length in range(len(content))] + [content + b"\0", content + b"\n"]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load(path)


def test_random_damage_raises_nothing_else(path):
    content = save_small(path)
    save_with_mindspore(path)
    rng = np.random.default_rng(3)
    for original in (content, path.read_bytes()):
        for _ in range(300):
            damaged = bytearray(original)
            start = int(rng.integers(len(damaged)))
            for position in rng.integers(0, len(damaged), rng.integers(1, 6)):
                damaged[position] = rng.integers(256)
            if rng.integers(3) == 0:
                del damaged[start : start + int(rng.integers(40))]
            path.write_bytes(damaged)
            try:
                load(path)
            except CheckpointError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("part", [b"lowbitzoo.metadata", b"lowbitzoo.sha256"])
def test_a_lost_seal_is_not_a_foreign_file(path, part):
    content = save_small(path)
    path.write_bytes(content.replace(part, b"x" * len(part)))
    with pytest.raises(CheckpointError, match="lost a part of its metadata"):
        load(path)


def test_exchanged_tensors_are_found(path):
    """Bytes that move between two tensors of one size leave every length intact."""
    first, second = np.arange(4, dtype=np.float32), np.arange(4, 8, dtype=np.float32)
    save(path, {"a": first, "b": second}, {})
    content = path.read_bytes().replace(first.tobytes(), b"#" * 16).replace(second.tobytes(), first.tobytes())
    path.write_bytes(content.replace(b"#" * 16, second.tobytes()))
    with pytest.raises(CheckpointError, match="sha256"):
        load(path)


def test_exchanged_type_is_found(path):
    """Another type of the same width leaves every length intact."""
    save(path, {"x": np.array([0, 1, 1], np.int8)}, {})
    old, new = (b"Int8", b"Bool") if path.suffix == ".ckpt" else (b'"I8"', b'"U8"')
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(CheckpointError, match="sha256"):
        load(path)


def test_newer_format(path, monkeypatch):
    monkeypatch.setattr(store, "FORMAT_VERSION", 2)
    save_small(path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="expected checkpoint format 1, found 2; update"):
        load(path)


@pytest.mark.parametrize("old", [None, b"old content"])
def test_crash_before_the_replacement(path, monkeypatch, old):
    if old is not None:
        path.write_bytes(old)

    def crash(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(CheckpointError, match=r"net\..*cannot be written \(Input/output error\)"):
        save(path, SMALL, {})
    assert [entry.name for entry in path.parent.iterdir()] == ([] if old is None else [path.name])
    assert old is None or path.read_bytes() == old


def test_absent_folder(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / "absent" / "net.safetensors", SMALL, {})


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "at least one tensor"),
        ({"x": np.zeros((2, 0), np.float32)}, "tensor x: expected at least one element"),
        ({"x": np.array(["a"])}, "tensor x: .*found <U1"),
        ({"x": np.array([None])}, "tensor x: .*found object"),
        ({"x": np.ones(1, np.complex64)}, "tensor x: .*found complex64"),
        ({"x": [1.0]}, "tensor x: .*found list"),
        ({"": np.ones(1)}, "'' cannot be the name"),
        ({3: np.ones(1)}, "3 cannot be the name"),
        ({"a\nb": np.ones(1)}, "cannot be the name"),
        ({"\ud800": np.ones(1)}, "cannot be the name"),
        ({"__metadata__": np.ones(1)}, "cannot be the name"),
        ({"lowbitzoo.sha256": np.ones(1)}, "reserved"),
    ],
)
def test_tensors_that_cannot_be_saved(path, tensors, message):
    with pytest.raises(CheckpointError, match=message):
        save(path, tensors, {})
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    "metadata", [{"a": np.float32(1)}, {"a": float("nan")}, {"a": {1: 2}}, {"a": [{None: 1}]}, {"a": {1, 2}}]
)
def test_metadata_that_cannot_be_saved(path, metadata):
    with pytest.raises(CheckpointError, match="metadata"):
        save(path, SMALL, metadata)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("packed", "error", "message"),
    [
        ({"c": 1}, QuantizationError, r"tensor c: expected codes in 0\.\.1 for 1 bits, found 3"),
        ({"c": 9}, QuantizationError, "tensor c: .*1 to 8 bits, found 9"),
        ({"a": 4}, QuantizationError, "tensor a: expected uint8 codes, found float32"),
        ({"absent": 4}, CheckpointError, "found absent"),
    ],
)
def test_codes_that_cannot_be_packed(path, packed, error, message):
    with pytest.raises(error, match=message):
        save(path, SMALL, {}, packed=packed)
    assert not list(path.parent.iterdir())


def test_saving_changes_no_input(path):
    tensors, metadata, packed = dict(SMALL), {"m": (1, 2)}, {"c": 2}
    save(path, tensors, metadata, packed)
    assert tensors.keys() == SMALL.keys()
    assert all(tensors[name] is SMALL[name] for name in SMALL)
    assert (metadata, packed) == ({"m": (1, 2)}, {"c": 2})
    assert load(path).metadata == {"m": [1, 2]}
