"""Damaged and forged PyTorch files: archives, legacy files, truncations, flipped bits."""

import io
import struct
import zipfile

import numpy as np
import pytest
from torch_samples import (
    CONTAINERS,
    DATA,
    HEADER,
    integer,
    legacy_file,
    mapping,
    storage,
    tensor,
    zip_file,
)

from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import CheckpointError


def rewritten(content, change):
    """A copy of a zip file whose entries (name, data, compression) went through ``change``."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data, compression in change([(n, source.read(n), zipfile.ZIP_STORED) for n in source.namelist()]):
            archive.writestr(name, data, compression)
    return target.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: [(n, d, zipfile.ZIP_DEFLATED) for n, d, _ in entries], "uncompressed"),
        (lambda entries: entries + entries[-1:], "repeat"),
        (lambda entries: entries[1:], "found 0"),
        (lambda entries: [*entries, ("b/data.pkl", b"", 0)], "found 2"),
        (lambda entries: entries[:-1], "damaged"),
        (lambda entries: [(n, b"big" if n.endswith("order") else d, 0) for n, d, _ in entries], "byte order"),
        (lambda entries: [("a/" + n, d, 0) for n, d, _ in entries], "found 0"),
    ],
)
def test_archives_that_torch_does_not_write(tmp_path, change, message):
    path = tmp_path / "net.pth"
    path.write_bytes(rewritten(zip_file(mapping(w=tensor()), {"0": DATA}), change))
    with pytest.raises(CheckpointError, match=message):
        read_state_file(path)


def test_bomb_of_overlapping_entries(tmp_path):
    """Many directory entries that all point to one run of data: each is valid, their sum exceeds the file."""
    body = mapping(**{f"w{i}": tensor((1,), (1,), source=storage(f"{i}", size=50_000)) for i in range(100)})
    content = zip_file(body, {"0": bytes(200_000)})
    directory = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[content.rindex(b"PK\x01\x02") : end]
    copies = b"".join(
        entry[:28] + struct.pack("<H", len(name)) + entry[30:46] + name
        for name in (f"net/data/{i}".encode() for i in range(1, 100))
    )
    head, tail = content[:directory], bytearray(content[end:])
    listed = content[directory:end] + copies
    tail[8:16] = struct.pack("<HHI", 102, 102, len(listed))
    path = tmp_path / "net.pth"
    path.write_bytes(head + listed + tail)
    with pytest.raises(CheckpointError, match="entries overlap"):
        read_state_file(path)


@pytest.mark.parametrize(
    "content",
    [
        legacy_file(mapping(w=tensor()), {"0": DATA}, keys=[]),
        legacy_file(mapping(w=tensor()), {"0": DATA}, keys=["0", "0"]),
        legacy_file(mapping(w=tensor()), {"0": DATA}, keys=["0", "1"]),
        legacy_file(mapping(w=tensor()), {"0": DATA}, keys=[["0"]]),
        legacy_file(mapping(w=tensor()), {"0": DATA}, keys="0"),
        legacy_file(mapping(w=tensor()), {"0": DATA}, item_size=8),
        legacy_file(mapping(w=tensor()), {"0": DATA})[:-1],
        legacy_file(mapping(w=tensor()), {"0": DATA}) + b"\0",
        legacy_file(mapping(w=tensor()), {"0": DATA}).replace(b"\xe9\x03", b"\xea\x03", 1),
        legacy_file(mapping(w=tensor()), {"0": DATA}).replace(b"\x88", b"\x89", 1),
        HEADER + integer(1) + b".",
    ],
)
def test_legacy_files_that_contradict_themselves(tmp_path, content):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.pth: "):
        read_state_file(path)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_truncation_is_found(tmp_path, container):
    content = CONTAINERS[container](mapping(a=tensor(), b=tensor((3,), (2,))), {"0": DATA})
    path = tmp_path / "net.pth"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            read_state_file(path)


@pytest.mark.parametrize("container", CONTAINERS)
def test_random_damage_raises_nothing_else(tmp_path, container):
    content = CONTAINERS[container](mapping(a=tensor(), state_dict=mapping(b=tensor((3,), (2,)))), {"0": DATA})
    path = tmp_path / "net.pth"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content[: rng.integers(len(content) // 2, len(content) + 1)])
        for position in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            state = read_state_file(path)
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert all(array.size <= 6 for array in state.values())
    assert refused > 300


def test_flipped_tensor_data_in_a_zip_is_found_by_its_crc(tmp_path):
    content = zip_file(mapping(w=tensor()), {"0": DATA})
    path = tmp_path / "net.pth"
    start = content.index(DATA)
    for bit in range(8 * len(DATA)):
        damaged = bytearray(content)
        damaged[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="CRC"):
            read_state_file(path)
