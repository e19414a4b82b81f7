"""MindSpore's ``.ckpt``: one protobuf message, a list of named tensors and texts.

MindSpore writes a text as a tensor of type ``str`` with UTF-32 content, and ``mindspore.load_checkpoint`` gives it
back as a str. A large tensor may be cut into slices, neighbours of the same name. Some files end with a CRC.
"""

import binascii
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from common.checkpoint.tensor_bytes import BFLOAT16, decode
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

    Raises:
        CheckpointError: The content contradicts itself or has a part that is not supported.
        Exception: Of whatever type, on other damage; the caller wraps it.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    message = Checkpoint()
    message.ParseFromString(_without_crc(content))
    tensors: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    for name, slices in itertools.groupby(message.value, key=lambda value: value.tag):
        if name in tensors or name in texts:
            raise CheckpointError(f"the file holds {name} twice")
        _read(name, [value.tensor for value in _checked(slices)], tensors, texts)
    return tensors, texts


def _add(message: Any, name: str, kind: str, shape: tuple[int, ...], content: bytes) -> None:
    value = message.value.add()
    value.tag = name
    value.tensor.dims.extend(shape)
    value.tensor.tensor_type = kind
    value.tensor.tensor_content = content


def _checked(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if not value.tag or not value.HasField("tensor"):
            raise CheckpointError("expected named tensors, found an entry that is none")
        yield value


def _read(name: str, slices: list[Any], tensors: dict[str, np.ndarray], texts: dict[str, str]) -> None:
    kind, shape = slices[-1].tensor_type, list(slices[-1].dims)
    content = slices[0].tensor_content if len(slices) == 1 else b"".join(part.tensor_content for part in slices)
    if kind == _TEXT:
        texts[name] = content.decode("utf-32-le")
    elif kind in _KINDS:
        is_scalar = shape == [0] and content  # how older MindSpore writes shape ()
        try:
            tensors[name] = decode(content, _KINDS[kind], [] if is_scalar else shape)
        except CheckpointError as error:
            raise CheckpointError(f"tensor {name}: {error}") from error
    else:
        raise CheckpointError(f"tensor {name} has the type {kind!r:.40}, which is not supported")


def _without_crc(content: bytes) -> bytes:
    """Drop the CRC that ``mindspore.save_checkpoint(crc_check=True)`` appends, after checking it."""
    tail = content[-_CRC_SIZE:]
    if not tail.startswith(_CRC_MARK):
        return content
    body = content[:-_CRC_SIZE]
    if binascii.crc32(body) != int.from_bytes(tail[len(_CRC_MARK) :], "big"):
        raise CheckpointError("the CRC at the end of the file is not that of its content; the file is damaged")
    return body
