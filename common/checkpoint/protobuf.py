"""The fields of a protobuf message, read in place: nothing is copied or allocated for what a message declares."""

from collections.abc import Iterator

from common.errors import CheckpointError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10
_SIGN, _RANGE = 2**63, 2**64


def fields(message: memoryview, most: int) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and value: an integer, or the bytes of what has a length.

    Args:
        message: to read.
        most: fields that it may have.

    Raises:
        CheckpointError: there are more, or one reaches beyond the message or has a form that is not supported.
    """
    place = count = 0
    while place < len(message):
        if (count := count + 1) > most:
            raise CheckpointError(f"expected at most {most:,} tensors, or parts of one, found more")
        key, place = _varint(message, place)
        number, form = key >> 3, key & 7
        if form == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if form == _BYTES:
            size, place = _varint(message, place)
        elif form in _FIXED_SIZES:
            size = _FIXED_SIZES[form]
        else:
            raise CheckpointError(f"a field of the form {form}; the file is damaged or not a checkpoint")
        if size > len(message) - place:
            raise CheckpointError(
                f"a field of {size:,} bytes where {len(message) - place:,} are left; the file is cut or damaged"
            )
        yield number, message[place : place + size]
        place += size


def signed(value: int) -> int:
    """A 64-bit integer as its field means it."""
    return value - _RANGE if value >= _SIGN else value


def integers(packed: memoryview) -> Iterator[int]:
    """The signed integers of a packed field."""
    place = 0
    while place < len(packed):
        value, place = _varint(packed, place)
        yield signed(value)


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """An unsigned integer of 7 bits a byte, the lowest first, and the place after it."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(message):
            raise CheckpointError("the file ends inside a number; it is cut or damaged")
        byte = message[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value % _RANGE, place + index + 1
    raise CheckpointError("a number of more than 10 bytes; the file is damaged")
