"""One batch of the Python release of CIFAR-10, read without calling anything that the file names.

Those files are pickles, and unpickling one runs what it asks for. Here a name stays a piece of text, a call stays a
record of its arguments, and the pixel array is built only after its type, shape and length are checked.
"""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError

_ENCODE = "_codecs.encode"
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_FROM_BUFFER = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
_NAMES = (_ENCODE, "numpy.ndarray", "numpy.dtype", *_RECONSTRUCT, *_FROM_BUFFER)

# Containers, integers, strings, the memo and one array: what NumPy 1 and 2 write under protocols 2 to 5.
_OPCODES = (
    pickle.PROTO, pickle.FRAME, pickle.MARK, pickle.STOP, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
    pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINUNICODE,
    pickle.SHORT_BINUNICODE, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.EMPTY_TUPLE,
    pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS,
    pickle.EMPTY_DICT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE,
    pickle.BINGET, pickle.LONG_BINGET, pickle.GLOBAL, pickle.STACK_GLOBAL,
)  # fmt: skip


class _Call:
    """A call that the file asks for, and the state it wants set on the result: recorded, never made."""

    def __init__(self, name: str, arguments: tuple) -> None:
        self.name, self.arguments, self.state = name, arguments, None


# The class written in Python: a damaged memo index makes the C one reserve memory without bound.
class _Reader(pickle._Unpickler):
    """Follows a pickle as far as plain data go."""

    dispatch = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in _OPCODES}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> str:
        full = f"{module}.{name}"
        if full not in _NAMES:
            raise pickle.UnpicklingError(f"it names {full[:80]!r}, which no CIFAR-10 file needs; nothing was run")
        return full

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        name = self.stack.pop()
        # Python 3 spells bytes as a call of encode when the protocol is 2.
        self.append(arguments[0].encode("latin-1") if name == _ENCODE else _Call(name, arguments))

    def load_build(self) -> None:
        state = self.stack.pop()
        self.stack[-1].state = state

    def load_setitems(self) -> None:
        items = self.pop_mark()
        keys = [key.encode() if isinstance(key, str) else key for key in items[::2]]
        # Tuples nested deep enough overflow the stack when they are hashed.
        if not all(isinstance(key, bytes) for key in keys):
            raise pickle.UnpicklingError("a key of its dictionary is no string")
        self.stack[-1].update(zip(keys, items[1::2]))

    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = pickle._Unpickler.load_binbytes8  # reads what is there instead of reserving first


def parse(raw: bytes, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one file.

    Args:
        raw: the content of the file: a pickled dictionary with ``data`` uint8 (N, 3072) and ``labels``, N integers.
        file: its name, such as ``data_batch_1``, for the error message.

    Returns:
        images uint8 (N, 3, 32, 32) and labels int64 (N,), not range-checked.

    Raises:
        DataError: the content is damaged, or names anything but what an array of bytes needs.
    """
    try:
        return _batch(_Reader(io.BytesIO(raw), encoding="bytes").load())
    except (
        Exception
    ) as error:  # damaged pickles end in many types: EOFError, KeyError, AttributeError, OverflowError...
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{file}: not a CIFAR-10 file of the Python release ({reason}); download it again") from error


def _batch(values: dict[bytes, Any]) -> tuple[np.ndarray, np.ndarray]:
    raw, shape = _buffer(values[b"data"])
    labels = values[b"labels"]
    count = len(labels)
    if shape != (count, 3072) or len(raw) != count * 3072:
        raise ValueError(f"{count} labels need data of ({count}, 3072) bytes, found {len(raw)} bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels are no list of integers")
    return np.frombuffer(raw, np.uint8).reshape(count, 3, 32, 32), np.array(labels, np.int64)


def _buffer(array: _Call) -> tuple[bytes, Sequence[int]]:
    """Content and shape of a recorded array."""
    if array.name in _RECONSTRUCT:
        _, shape, dtype, fortran, raw = array.state
    else:
        raw, dtype, shape, order = array.arguments
        fortran = order != "C"
    if dtype.arguments[0] not in ("u1", b"u1") or fortran or not isinstance(raw, bytes):
        raise ValueError("its data are no row-major array of bytes")
    return raw, shape
