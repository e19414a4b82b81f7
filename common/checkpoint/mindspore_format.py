"""MindSpore's ``.ckpt``: one protobuf message, a list of named tensors and texts.

MindSpore writes a text as a tensor of type ``str`` with UTF-32 content, and ``mindspore.load_checkpoint`` gives it
back as a str. A large tensor may be cut into slices, neighbours of the same name. Some files end with a CRC.
"""

import binascii
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.checkpoint.protobuf import fields, integers, signed
from common.checkpoint.tensor_bytes import BFLOAT16, MOST_DIMENSIONS, checked_text, decode, item_size
from common.errors import CheckpointError

_KINDS = {
    "Bool": "bool",
    "Int8": "int8",
    "Int16": "int16",
    "Int32": "int32",
    "Int64": "int64",
    "UInt8": "uint8",
    "UInt16": "uint16",
    "UInt32": "uint32",
    "UInt64": "uint64",
    "Float16": "float16",
    "Float32": "float32",
    "Float64": "float64",
    "BFloat16": BFLOAT16,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_TEXT = "str"
_CRC_MARK = b"crc_num"
_CRC_SIZE = len(_CRC_MARK) + 10
# Fields of the messages Checkpoint, Checkpoint.Value and TensorProto.
_VALUE, _TAG, _TENSOR = 1, 1, 2
_DIMENSIONS, _TYPE, _CONTENT = 1, 2, 3
_MOST_ENTRIES = 20_000
_MOST_PARTS = 8  # of an entry; there are two, or three of a tensor beside its dimensions
_LONGEST_NAME = 4096
_LARGEST = 2**31 - 1  # protobuf's limit for one message


def encode(tensors: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> bytes:
    """Give the file content; texts come first, so that a cut file still shows that it should have them.

    Raises:
        CheckpointError: More than protobuf's 2 GiB.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint  # importing MindSpore takes seconds

    if sum(array.nbytes for array in tensors.values()) > _LARGEST:
        raise CheckpointError("a .ckpt holds at most 2 GiB; save as .safetensors")
    message = Checkpoint()
    for name, text in texts.items():
        _add(message, name, _TEXT, (0,), text.encode("utf-32-le"))
    for name, array in tensors.items():
        _add(message, name, _NAMES[array.dtype.name], array.shape, array.tobytes())
    return message.SerializeToString()


def decode_file(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Give tensors and texts.

    The message is read field by field and not by MindSpore's own class for it, which makes an object of every two
    bytes before anything can be checked.

    Raises:
        CheckpointError: The content contradicts itself, has a part that is not supported, or too many entries.
        Exception: Of whatever type, on other damage; the caller wraps it.
    """
    tensors: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    for name, slices in itertools.groupby(_entries(_without_crc(content)), key=lambda entry: entry.name):
        if name in tensors or name in texts:
            raise CheckpointError(f"the file holds {name:.80} twice")
        _read(name, list(slices), tensors, texts)
    return tensors, texts


@dataclass(frozen=True)
class _Entry:
    """A tensor or text of the file, or a slice of one."""

    name: str
    shape: tuple[int, ...]
    kind: str
    content: memoryview


def _entries(content: memoryview) -> Iterator[_Entry]:
    for number, value in fields(content, _MOST_ENTRIES):
        if number != _VALUE or not isinstance(value, memoryview):
            raise CheckpointError("expected named tensors, found something else; the file is damaged")
        yield _entry(value)


def _entry(value: memoryview) -> _Entry:
    parts = dict(fields(value, _MOST_PARTS))
    name, tensor = parts.get(_TAG), parts.get(_TENSOR)
    if not isinstance(name, memoryview) or not name or not isinstance(tensor, memoryview):
        raise CheckpointError("expected named tensors, found an entry that is none")
    shape: list[int] = []
    kind, content = memoryview(b""), memoryview(b"")
    for number, part in fields(tensor, MOST_DIMENSIONS + _MOST_PARTS):
        if number == _DIMENSIONS:
            shape += [signed(part)] if isinstance(part, int) else itertools.islice(integers(part), MOST_DIMENSIONS + 1)
        elif number == _TYPE and isinstance(part, memoryview):
            kind = part
        elif number == _CONTENT and isinstance(part, memoryview):
            content = part
        if len(shape) > MOST_DIMENSIONS:
            raise CheckpointError(f"expected at most {MOST_DIMENSIONS} dimensions of a tensor, found more")
    return _Entry(_text(name), tuple(shape), _text(kind), content)


def _text(value: memoryview) -> str:
    if len(value) > _LONGEST_NAME:
        raise CheckpointError(f"expected names of at most {_LONGEST_NAME:,} bytes, found one of {len(value):,}")
    return str(value, "utf-8")


def _add(message: Any, name: str, kind: str, shape: tuple[int, ...], content: bytes) -> None:
    value = message.value.add()
    value.tag = name
    value.tensor.dims.extend(shape)
    value.tensor.tensor_type = kind
    value.tensor.tensor_content = content


def _read(name: str, slices: list[_Entry], tensors: dict[str, np.ndarray], texts: dict[str, str]) -> None:
    kind, shape = slices[-1].kind, slices[-1].shape
    content = slices[0].content if len(slices) == 1 else memoryview(b"".join(part.content for part in slices))
    if kind == _TEXT:
        texts[name] = str(checked_text(content), "utf-32-le")
    elif kind in _KINDS:
        is_scalar = shape == (0,) and content  # how older MindSpore writes shape ()
        try:
            tensors[name] = decode(_aligned(content, _KINDS[kind]), _KINDS[kind], () if is_scalar else shape)
        except CheckpointError as error:
            raise CheckpointError(f"tensor {name:.80}: {error}") from error
    else:
        raise CheckpointError(f"tensor {name:.80} has the type {kind!r:.40}, which is not supported")


def _aligned(content: memoryview, kind: str) -> bytes | memoryview:
    """A copy where elements have more than one byte: in the file they lie at odd addresses, and are slow there."""
    return content if item_size(kind) == 1 else bytes(content)


def _without_crc(content: bytes) -> memoryview:
    """Drop the CRC that ``mindspore.save_checkpoint(crc_check=True)`` appends, after checking it."""
    tail = content[-_CRC_SIZE:]
    if not tail.startswith(_CRC_MARK):
        return memoryview(content)
    body = memoryview(content)[:-_CRC_SIZE]
    if binascii.crc32(body) != int.from_bytes(tail[len(_CRC_MARK) :], "big"):
        raise CheckpointError("the CRC at the end of the file is not that of its content; the file is damaged")
    return body
