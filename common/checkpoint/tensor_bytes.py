"""Raw little-endian bytes of a tensor, as all file formats here store them, to an array."""

import math
from collections.abc import Sequence

import numpy as np

from common.errors import CheckpointError

BFLOAT16 = "bfloat16"
MOST_DIMENSIONS = 32  # NumPy's limit
LONGEST_TEXT = 1 << 24  # bytes of one text or header: parsed, it takes 20 times as much


def item_size(kind: str) -> int:
    """Bytes per element of ``kind``: a NumPy type name or ``bfloat16``."""
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def checked_text(content: memoryview) -> memoryview:
    """The content of a text, if it is not too long to be parsed.

    Raises:
        CheckpointError: It is.
    """
    if len(content) > LONGEST_TEXT:
        raise CheckpointError(f"expected metadata of at most {LONGEST_TEXT:,} bytes, found {len(content):,}")
    return content


def decode(content: bytes | bytearray | memoryview, kind: str, shape: Sequence[int]) -> np.ndarray:
    """View bytes as a read-only array.

    NumPy has no bfloat16: such tensors are widened to float32, which holds each of their values exactly.

    Args:
        content: Elements in C order, little-endian.
        kind: NumPy type name or ``bfloat16``.
        shape: Dimensions, none negative.

    Raises:
        CheckpointError: The number of bytes is not what ``kind`` and ``shape`` need, or a bool is neither 0 nor 1.
    """
    shape = tuple(shape)
    if len(shape) > MOST_DIMENSIONS:
        raise CheckpointError(f"expected at most {MOST_DIMENSIONS} dimensions, found {len(shape)}")
    expected = math.prod(shape) * item_size(kind)
    if any(n < 0 for n in shape) or len(content) != expected:
        raise CheckpointError(f"expected {expected} bytes for {kind} of shape {shape}, found {len(content)}")
    array = _elements(content, kind).reshape(shape)
    array.flags.writeable = False
    return array


def _elements(content: bytes | bytearray | memoryview, kind: str) -> np.ndarray:
    if kind == BFLOAT16:
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    if kind == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise CheckpointError("expected 0 or 1 in a bool tensor, found other bytes")
    return np.frombuffer(content, np.dtype(kind).newbyteorder("<"))
