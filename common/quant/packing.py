"""Bit packing: integer codes of 1 to 8 bits stored back to back, without gaps.

Little-endian bit order. With codes ``c0, c1, c2, ...`` in C order, bit ``j`` of code ``i`` is bit ``k % 8`` of byte
``k // 8``, where ``k = i * bits + j``. A code may straddle two bytes. Three bits per code (``a0`` is bit 0 of ``a``)::

    byte         0                          1                          2
    bit  7  6  5  4  3  2  1  0 | 7  6  5  4  3  2  1  0 | 7  6  5  4  3  2  1  0
        c1 c0 b2 b1 b0 a2 a1 a0 |f0 e2 e1 e0 d2 d1 d0 c2 |h2 h1 h0 g2 g1 g0 f2 f1

The unused high bits of the last byte are zero.
"""

import math
from collections.abc import Sequence

import numpy as np

from common.errors import QuantizationError

MAX_BITS = 8


def packed_size(count: int, bits: int) -> int:
    """Bytes that ``count`` codes of ``bits`` bits take: ``ceil(count * bits / 8)``."""
    return (count * bits + 7) // 8


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Store unsigned codes back to back.

    Example:
        >>> pack(np.array([1, 2, 3], np.uint8), 4)
        array([33,  3], dtype=uint8)

    Args:
        codes: uint8, any shape, values in ``[0, 2**bits - 1]``.
        bits: Width of a code, 1 to 8.

    Returns:
        uint8, shape ``(ceil(codes.size * bits / 8),)``.

    Raises:
        QuantizationError: ``codes`` is not uint8, a code needs more bits, or ``bits`` is out of range.
    """
    _check_bits(bits)
    codes = np.asarray(codes)
    if codes.dtype != np.uint8:
        raise QuantizationError(f"expected uint8 codes, found {codes.dtype}; convert them before packing")
    largest = int(codes.max(initial=0))
    if largest >= 2**bits:
        raise QuantizationError(f"expected codes in 0..{2**bits - 1} for {bits} bits, found {largest}; use more bits")
    table = np.unpackbits(codes.reshape(-1, 1), axis=1, count=bits, bitorder="little")  # (codes, bits)
    return np.packbits(table, bitorder="little")


def unpack(packed: np.ndarray, bits: int, shape: Sequence[int]) -> np.ndarray:
    """Give back the codes that :func:`pack` stored.

    Args:
        packed: uint8, shape ``(ceil(prod(shape) * bits / 8),)``.
        bits: Width of a code, 1 to 8.
        shape: Shape of the codes.

    Returns:
        uint8, of the given shape, values in ``[0, 2**bits - 1]``.

    Raises:
        QuantizationError: ``packed`` is not what ``pack`` returns for this width and shape.
    """
    _check_bits(bits)
    shape = _checked_shape(shape)
    count = math.prod(shape)
    packed = np.asarray(packed)
    if packed.dtype != np.uint8 or packed.shape != (packed_size(count, bits),):
        raise QuantizationError(
            f"expected {packed_size(count, bits)} packed bytes for shape {shape} at {bits} bits,"
            f" found {packed.dtype} of shape {packed.shape}"
        )
    stream = np.unpackbits(packed, bitorder="little")
    if stream[count * bits :].any():
        raise QuantizationError("expected zero bits behind the last packed code, found others; the data is damaged")
    table = stream[: count * bits].reshape(count, bits)
    return np.packbits(table, axis=1, bitorder="little").reshape(shape)


def _check_bits(bits: int) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 1 <= bits <= MAX_BITS:
        raise QuantizationError(f"expected a width of 1 to {MAX_BITS} bits, found {bits!r}")


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0 for n in shape):
        raise QuantizationError(f"expected a shape of non-negative integers, found {tuple(shape)}")
    return tuple(int(n) for n in shape)
