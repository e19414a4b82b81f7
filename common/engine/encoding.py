"""Numbers and texts as the bytes of a runtime file; FORMAT.md has their definitions."""

import struct
from collections.abc import Iterable

import numpy as np


def unsigned(value: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first, the eighth bit on all but the last."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def signed(value: int) -> bytes:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    return unsigned(2 * value if value >= 0 else -2 * value - 1)


def text(value: str) -> bytes:
    """Its number of bytes and its UTF-8."""
    content = value.encode()
    return unsigned(len(content)) + content


def doubles(values: Iterable[float]) -> bytes:
    """IEEE 754, little-endian."""
    return b"".join(struct.pack("<d", value) for value in values)


def bits(values: np.ndarray, widths: np.ndarray) -> bytes:
    """Each value in its own number of bits, one after the other, from the lowest bit of the first byte on.

    >>> bits(np.array([1, 2, 7]), np.array([1, 2, 3])).hex()
    '3d'
    """
    starts = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
    space = np.zeros(starts[-1], np.uint8)
    for bit in range(int(widths.max(initial=0))):
        there = widths > bit
        space[starts[:-1][there] + bit] = values[there] >> bit & 1
    return np.packbits(space, bitorder="little").tobytes()
