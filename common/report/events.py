r"""Numbers of a run as TensorBoard reads them: a file of events, written without TensorBoard.

A record is its length (8 bytes), the masked CRC-32C of that, the event, and the masked CRC-32C of the event, all little
endian. An event is a protobuf message: 1 wall time (double), 2 step, 3 version of the file, 5 summary; a summary holds
values, each of 1 tag and 2 number (float). The mask of a CRC c is :math:`(c \gg 15 \mid c \ll 17) + \mathrm{a282ead8}`.

The whole history is written each time, so that a run that was killed and goes on leaves the file of one that was not;
what is there already stays as it is, which a TensorBoard that is open follows.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.files.atomic_file import write_atomically

FILE = "events.out.tfevents.lowbitzoo"
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_TABLE = _table()


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def write_events(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the numbers of each record with an ``epoch``, whole or not at all.

    Args:
        folder: of the run; made if absent.
        history: records of a run.

    Raises:
        ConfigError: the file cannot be written.
    """
    events = [b"\x09" + struct.pack("<d", 0.0) + _bytes(3, b"brain.Event:2"), *_events(history)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, b"".join(map(_record, events)))
    except OSError as error:
        raise ConfigError(f"tensorboard: cannot write into {folder}: {error.strerror}; give another folder") from None


def _events(history: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    seconds = 0.0  # of training: wall time would make a file that was continued another one
    for record in history:
        seconds += float(record.get("seconds", 0.0))
        values = b"".join(_bytes(1, _value(tag, number)) for tag, number in _numbers(record))
        yield b"\x09" + struct.pack("<d", seconds) + b"\x10" + _varint(int(record["epoch"])) + _bytes(5, values)


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a record by name; those of layers as ``bits/layer``."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{key}", part) for key, part in _numbers(value))
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "epoch":
            yield name, float(value)


def _value(tag: str, number: float) -> bytes:
    return _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", number)


def _bytes(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", _masked(length)) + event + struct.pack("<I", _masked(event))


def _masked(content: bytes) -> int:
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
