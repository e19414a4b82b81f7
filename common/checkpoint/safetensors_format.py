"""The ``.safetensors`` format: a JSON header with names, types, shapes and texts, then the raw tensors."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.checkpoint.tensor_bytes import BFLOAT16, checked_text, decode
from common.errors import CheckpointError

_KINDS = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": BFLOAT16,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ALIGNMENT = 8


def encode(tensors: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> bytes:
    """Give the file content; the texts go to the header.

    Written here rather than by ``safetensors.numpy.save``, which puts the texts in a random order. The widest elements
    come first, so that every tensor is aligned.
    """
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(texts)}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        kind = _NAMES[tensors[name].dtype.name]
        header[name] = {"dtype": kind, "shape": tensors[name].shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([struct.pack("<Q", len(text)), text, *(tensors[name].tobytes() for name in names)])


def decode_file(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Give tensors and texts.

    Raises:
        CheckpointError: A tensor has a type that is not supported, or the header is too long.
        Exception: Of whatever type, on damage; the caller wraps it.
    """
    from safetensors import deserialize

    texts = _texts(content)
    tensors = {}
    for name, entry in deserialize(content):
        if entry["dtype"] not in _KINDS:
            raise CheckpointError(f"tensor {name} has the type {entry['dtype']}, which is not supported")
        tensors[name] = decode(entry["data"], _KINDS[entry["dtype"]], entry["shape"])
    return tensors, texts


def _texts(content: bytes) -> dict[str, str]:
    """The header's free texts, which ``safetensors.deserialize`` checks but does not give."""
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(bytes(checked_text(memoryview(content)[8 : 8 + size])))
    return header.get("__metadata__") or {}
