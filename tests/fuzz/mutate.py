"""Seeded damage: of bytes, of texts, and of JSON documents as trees."""

import json
from typing import Any

import numpy as np

Random = np.random.Generator

_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
_LONGEST_PIECE = 64
PICKLE_TOKENS = [
    *(b"(", b"}", b"]", b")", b"\x85", b"\x86", b"\x87", b"R", b"b", b"u", b"s", b"e", b"a", b"t", b"Q", b"N", b"0"),
    *(b"\x81", b"\x92", b"\x93", b"\x94", b"\x8f", b"\x90", b"\x91", b"d", b"l", b"2", b".", b"h\0", b"q\0", b"h\1"),
    *(b"cos\nsystem\n", b"ios\nsystem\n", b"I1\n", b"L9L\n", b"F1e9\n", b"S'a'\n", b"Va\n", b"X\xff\xff\xff\x7f"),
    *(
        b"J\xff\xff\xff\x7f",
        b"\x8a\x08" + b"\xff" * 8,
        b"\x8b\xff\xff\xff\x7f",
        b"r\xff\xff\xff\x7f",
        b")" + b"\x85" * 500,
    ),
]
TEXT_TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b"- ",
        b"\n",
        b"\t",
        b" ",
        b"'",
        b'"',
        b"#",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"? ",
        b"|",
        b">",
    ),
    *(
        b"!!python/object/apply:os.system [id]",
        b"!!binary x",
        b"!!set",
        b"null",
        b"true",
        b"~",
        b".inf",
        b".nan",
        b"1e999",
    ),
    *(b"-1", b"0x", b"2001-13-45", b"99999999999999999999", b"1" * 5000, b"\xff", b"\xed\xa0\x80", b"\0", b"\xc2\x85"),
    *(
        b"[" * 2000,
        b"{a: " * 500,
        b"- " * 1000,
        b"NaN",
        b"-Infinity",
        b"\\ud800",
        b"1:1:1",
        b"%YAML 9.9\n---\n",
        b"...",
    ),
]
_VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        255,
        10**9,
        2**63,
        -(2**63),
        10**400,
        0.5,
        -0.5,
        1e308,
        "",
        "x",
        "x" * 5000,
        "\ud7ff",
    ),
    *([], {}, [[]], [0], [-1], [10**9], [10**9] * 8, [2**40, 2**40], [None], [True], ["x"], [0] * 10_000, {"": {}}),
]


def damaged(content: bytes, rng: Random, tokens: list[bytes] | None = None) -> bytes:
    """The content after one to four changes of random kinds."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        _CHANGES[int(rng.integers(len(_CHANGES)))](data, rng)
        if tokens and rng.random() < 0.5:
            place = _place(data, rng)
            data[place : place + int(rng.integers(0, 4))] = tokens[int(rng.integers(len(tokens)))]
    return bytes(data)


def _place(data: bytearray, rng: Random) -> int:
    """A position; half of them near the beginning or the end, where most of a format's structure is."""
    near = int(rng.integers(0, min(len(data), 256) + 1))
    kind = rng.random()
    return near if kind < 0.3 else len(data) - near if kind < 0.5 else int(rng.integers(0, len(data) + 1))


def _piece(data: bytearray, rng: Random) -> slice:
    start = _place(data, rng)
    return slice(start, start + int(rng.integers(1, _LONGEST_PIECE)))


def _flip(data: bytearray, rng: Random) -> None:
    if data:
        data[min(_place(data, rng), len(data) - 1)] ^= 1 << int(rng.integers(8))


def _byte(data: bytearray, rng: Random) -> None:
    if data:
        data[min(_place(data, rng), len(data) - 1)] = int(rng.integers(256))


def _number(data: bytearray, rng: Random) -> None:
    width, place = int(rng.choice([1, 2, 4, 8])), _place(data, rng)
    number = _NUMBERS[int(rng.integers(len(_NUMBERS)))] % 2 ** (8 * width)
    data[place : place + width] = number.to_bytes(width, "little" if rng.random() < 0.8 else "big")


def _cut(data: bytearray, rng: Random) -> None:
    if rng.random() < 0.3:
        del data[_place(data, rng) :]


def _delete(data: bytearray, rng: Random) -> None:
    del data[_piece(data, rng)]


def _repeat(data: bytearray, rng: Random) -> None:
    piece = _piece(data, rng)
    data[piece.start : piece.start] = data[piece] * int(rng.choice([1, 1, 2, 50]))


def _move(data: bytearray, rng: Random) -> None:
    piece, place = bytes(data[_piece(data, rng)]), _place(data, rng)
    data[place : place + len(piece)] = piece


def _insert(data: bytearray, rng: Random) -> None:
    place = _place(data, rng)
    data[place:place] = rng.bytes(int(rng.integers(1, 16)))


_CHANGES = (_flip, _flip, _byte, _number, _number, _cut, _delete, _repeat, _move, _insert)


def damaged_document(document: Any, rng: Random) -> Any:
    """A JSON document in which one to three values are others, are gone or have another name."""
    changed = json.loads(json.dumps(document))
    for _ in range(int(rng.integers(1, 4))):
        holder, key = _node(changed, rng)
        if holder is None:
            return changed
        kind = rng.random()
        if kind < 0.15:
            del holder[key]
        elif kind < 0.25 and isinstance(holder, dict):
            holder["other"] = holder.pop(key)
        elif kind < 0.4 and isinstance(holder[key], int | float):
            holder[key] = holder[key] * int(rng.choice([2, 1000, -1])) + int(rng.choice([0, 1, -1]))
        else:
            holder[key] = json.loads(json.dumps(_VALUES[int(rng.integers(len(_VALUES)))]))
    return changed


def _node(document: Any, rng: Random) -> tuple[Any, Any]:
    """A random place of a tree: the container and the key in it."""
    holder = document
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = keys[int(rng.integers(len(keys)))]
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
            return holder, key
        holder = inner
    return None, None
