"""What a file declares costs no memory and no time before it is compared with what the file holds."""

import json
import struct
import time
import tracemalloc

import numpy as np
import pytest

from common.checkpoint import load, save
from common.errors import CheckpointError


def varint(value):
    content = b""
    while value > 0x7F:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(name=b"x", dims=b"\x08\x01", kind=b"Int8", content=b"a"):
    return field(1, field(1, name) + field(2, dims + field(2, kind) + field(3, content)))


def header(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text


ENTRIES = {
    "many entries": entry() * 30_000,
    "empty entries": b"\x0a\x00" * 5_000_000,
    "many dimensions": entry(dims=b"\x08\x01" * 5_000_000),
    "packed dimensions": entry(dims=field(1, b"\x01" * 10_000_000)),
    "other fields": entry(dims=b"\x50\x01" * 5_000_000),
    "long name": entry(name=b"x" * 10_000_000),
    "long type": entry(kind=b"x" * 10_000_000),
    "long text": entry(kind=b"str", content="{".encode("utf-32-le") * 10_000_000),
    "deep text": entry(name=b"lowbitzoo.metadata", kind=b"str", content=("[" * 100_000).encode("utf-32-le")),
    "shape of 238 GiB": entry(dims=field(1, varint(64) + varint(10**9)), kind=b"Float32", content=bytes(100)),
    "shape that overflows": entry(dims=field(1, varint(2**62) * 30)),
    "length beyond the file": b"\x0a\xff\xff\xff\xff\x7f",
    "number without an end": b"\x0a" + b"\xff" * 1000,
    "a group": b"\x0a\x02\x0b\x0b",
}
HEADERS = {
    "length beyond the file": struct.pack("<Q", 2**60) + b"{}",
    "longest length": struct.pack("<Q", 2**64 - 1) + b"{}",
    "deep": header(b"{" + b'"a":{' * 100_000),
    "large": header(b"{" + b" " * (1 << 25) + b"}"),
    "shape of 238 GiB": header({"x": {"dtype": "F32", "shape": [64, 10**9], "data_offsets": [0, 100]}}) + bytes(100),
    "shape that overflows": header({"x": {"dtype": "F32", "shape": [2**62] * 30, "data_offsets": [0, 4]}}) + bytes(4),
    "many dimensions": header({"x": {"dtype": "I8", "shape": [1] * 100, "data_offsets": [0, 1]}}) + b"a",
    "no object": header(b"[1]"),
}


@pytest.mark.parametrize("kind", [*ENTRIES, *(f"header: {name}" for name in HEADERS)])
def test_hostile_structures_are_refused_at_once(tmp_path, kind):
    is_header = kind.startswith("header: ")
    content = HEADERS[kind.removeprefix("header: ")] if is_header else ENTRIES[kind]
    path = tmp_path / "net.ckpt"
    path.write_bytes(content)
    start = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2100
    assert peak < 10 * len(content) + 2**26 and time.monotonic() - start < 10


def test_packed_shapes_are_compared_with_the_bytes_that_are_there(tmp_path, monkeypatch):
    from common.checkpoint import seal, store

    def hostile(tensors, document):
        return seal.make_seal(tensors, {**document, "packed": {"codes": [1, [64, 10**9]]}})

    monkeypatch.setattr(store, "make_seal", hostile)
    save(tmp_path / "net.ckpt", {"codes": np.zeros(8, np.uint8)}, {}, packed={"codes": 1})
    with pytest.raises(CheckpointError, match="packed bytes for shape"):
        load(tmp_path / "net.ckpt")


def test_two_damages_do_not_make_a_sealed_file_a_foreign_one(tmp_path):
    save(tmp_path / "net.safetensors", {"x": np.zeros(8, np.float32)}, {"a": 1})
    content = (tmp_path / "net.safetensors").read_bytes()
    for old, new in ((b"lowbitzoo.metadata", b"lowbitxoo.metadata"), (b"lowbitzoo.sha256", b"owbitzoo.shx256 ")):
        assert content.count(old) == 1
        content = content.replace(old, new)
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="lost a part of its metadata"):
        load(tmp_path / "net.safetensors")
