"""The two containers of ``torch.save``, read without PyTorch and without running anything from the file.

* zip (PyTorch 1.6 and later): ``<name>/data.pkl`` and one entry ``<name>/data/<key>`` per storage, uncompressed.
* legacy: five pickles in a row (magic number, protocol, system, object, storage keys), then per key the number of
  elements as int64 and the raw bytes.
"""

import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from common.checkpoint.pytorch.tensors import ALLOWED, Storage, StorageTable, StridedTensor
from common.checkpoint.tensor_bytes import decode, item_size
from common.errors import CheckpointError, PickleError
from common.files import inert_pickle, restricted_pickle

_ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LARGEST_PICKLE = 1 << 28
_MOST_ENTRIES = 100_000


class TorchFile:
    """The object of a state file, with tensors as :class:`StridedTensor`, and access to their elements."""

    def __init__(self, root: Any, read_storage: Callable[[Storage], bytes | memoryview]) -> None:
        self.root = root
        self._read_storage = read_storage
        self._elements: dict[str, np.ndarray] = {}

    def array(self, tensor: StridedTensor) -> np.ndarray:
        """The read-only array of one tensor; tensors that share a storage share memory."""
        storage = tensor.storage
        if storage.key not in self._elements:
            self._elements[storage.key] = decode(self._read_storage(storage), storage.kind, (storage.size,))
        return tensor.view(self._elements[storage.key])


def parse(content: bytes) -> TorchFile:
    """Read a state file of either container.

    Raises:
        CheckpointError: It is neither, asks for a global outside the allow-list, or contradicts itself.
        Exception: Of whatever type, on other damage; the caller wraps it.
    """
    return _parse_zip(content) if content.startswith(_ZIP_MAGIC) else _parse_legacy(content)


def _object(stream: BytesIO, table: StorageTable) -> Any:
    """What the file holds, with storages declared in the table."""
    try:
        return inert_pickle.load(stream, ALLOWED, table.declare)
    except PickleError as error:
        hint = "if you trust its author, save model.state_dict() alone and use that file"
        raise CheckpointError(f"not a plain state file: {error}; {hint}") from error


def _plain(stream: BytesIO) -> Any:
    """One of the pickles around the object."""
    try:
        return restricted_pickle.load(stream, {})
    except PickleError as error:
        raise CheckpointError(f"expected a file of torch.save, found another pickle: {error}") from error


def _parse_zip(content: bytes) -> TorchFile:
    archive = zipfile.ZipFile(BytesIO(content))
    entries = _checked_entries(archive, len(content))
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError(f"expected one data.pkl in the archive, found {len(pickles)}; not a PyTorch state file")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
        raise CheckpointError("expected little-endian tensors, found another byte order")
    table = StorageTable()
    if archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
        raise CheckpointError(f"expected a data.pkl of at most {_LARGEST_PICKLE:,} bytes, found a larger one")
    root = _object(BytesIO(archive.read(pickles[0])), table)
    return TorchFile(root, lambda storage: archive.read(f"{folder}data/{storage.key}"))


def _checked_entries(archive: zipfile.ZipFile, available: int) -> set[str]:
    """Names of the entries, after making sure that reading all of them takes no more than the file's own size."""
    names: set[str] = set()
    if len(archive.infolist()) > _MOST_ENTRIES:
        raise CheckpointError(f"expected at most {_MOST_ENTRIES:,} entries in the archive, found more")
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise CheckpointError("expected uncompressed entries as torch.save writes them, found compressed ones")
        available -= entry.file_size
        if available < 0 or entry.filename in names:
            raise CheckpointError("the archive's entries overlap, repeat or exceed the file")
        names.add(entry.filename)
    return names


def _parse_legacy(content: bytes) -> TorchFile:
    stream = BytesIO(content)
    _check_legacy_header(stream)
    table = StorageTable()
    root = _object(stream, table)
    keys = _plain(stream)
    # Text alone is hashed: the hash of a tuple recurses, and a deeply nested one would overflow the stack.
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("expected a list of the storages' names, found something else; the file is damaged")
    if len(keys) != len(set(keys)) or set(keys) != set(table.storages):
        raise CheckpointError("the file's list of storages is not the list of those its tensors use")
    starts = _storage_starts(content, stream.tell(), [table.storages[key] for key in keys])

    def read(storage: Storage) -> bytes:
        # A copy, because storages lie at odd addresses inside the file and unaligned arrays are slow.
        return content[starts[storage.key] : starts[storage.key] + storage.size * item_size(storage.kind)]

    return TorchFile(root, read)


def _check_legacy_header(stream: BytesIO) -> None:
    if _plain(stream) != _LEGACY_MAGIC:
        raise CheckpointError("expected a file of torch.save, found neither of its two formats")
    if _plain(stream) != _LEGACY_PROTOCOL:
        raise CheckpointError(f"expected protocol {_LEGACY_PROTOCOL} of torch.save, found another")
    system = _plain(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("expected little-endian tensors, found another byte order")


def _storage_starts(content: bytes, position: int, storages: list[Storage]) -> dict[str, int]:
    """Offset of each storage's first element in the file."""
    starts: dict[str, int] = {}
    for storage in storages:
        (count,) = struct.unpack_from("<q", content, position)
        if count != storage.size:
            raise CheckpointError(f"expected {storage.size} elements in storage {storage.key!r}, found {count}")
        starts[storage.key] = position + 8
        position += 8 + count * item_size(storage.kind)
    if position != len(content):
        raise CheckpointError(f"expected {position} bytes, found {len(content)}; the file is cut or has bytes to spare")
    return starts
