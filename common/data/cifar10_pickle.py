"""One file of the Python release of CIFAR-10 or CIFAR-100, read without calling anything that the file names.

Those files are pickles, and unpickling one runs what it asks for. :mod:`common.files.restricted_pickle` follows them
as far as plain data go; NumPy's calls become records here, and the pixel array is built only after its type, shape and
length are checked.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError, PickleError
from common.files import restricted_pickle
from common.files.restricted_pickle import Record, StandIn

_LONGEST_CAUSE = 200


class _Dtype(Record):
    """A NumPy type by its name, such as ``u1``."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name


class _Reconstructed(Record):
    """An array whose content is set as a state, as all NumPy versions write it under protocols 2 to 4."""

    def __init__(self, *_: Any) -> None:
        pass

    def content(self) -> tuple[Any, Any, Any, bool]:
        """Elements, shape, type, whether column-major."""
        _, shape, dtype, fortran, raw = self.state
        return raw, shape, dtype, fortran


class _FromBuffer(Record):
    """An array whose content is an argument, as NumPy writes it under protocol 5."""

    def __init__(self, raw: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.arguments = raw, shape, dtype, order != "C"

    def content(self) -> tuple[Any, Any, Any, bool]:
        """Elements, shape, type, whether column-major."""
        return self.arguments


class _Encode:
    """Stands for ``_codecs.encode``, as which Python 3 spells bytes under protocol 2.

    A file spells every text out, so that together they are no longer than the file: what goes beyond repeats one.
    """

    def __init__(self, available: int) -> None:
        self.available = available

    def __call__(self, text: str, encoding: str) -> bytes:
        self.available -= len(text)
        if encoding != "latin1" or self.available < 0:
            raise ValueError(f"expected texts of the file in latin1, found one in {encoding!r:.20}, or repeats")
        return text.encode("latin-1")


_ALLOWED = {
    "numpy.ndarray": "numpy.ndarray",  # an argument, never called
    "numpy.dtype": StandIn(_Dtype),
    **{f"numpy.{core}.multiarray._reconstruct": StandIn(_Reconstructed) for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": StandIn(_FromBuffer) for core in ("core", "_core")},
}


def parse(raw: bytes, file: Path, labels: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one file.

    Args:
        raw: the content of the file: a pickled dictionary with ``data`` uint8 (N, 3072) and ``labels``, N integers.
        file: its name, such as ``data_batch_1``, for the error message.
        labels: the key of the labels; ``fine_labels`` in CIFAR-100.

    Returns:
        images uint8 (N, 3, 32, 32) and labels int64 (N,), not range-checked.

    Raises:
        DataError: the content is damaged, or names anything but what an array of bytes needs.
    """
    try:
        allowed = {**_ALLOWED, "_codecs.encode": StandIn(_Encode(len(raw)))}
        return _batch(restricted_pickle.load(BytesIO(raw), allowed), labels)
    except Exception as error:  # damaged pickles end in many types: EOFError, KeyError, AttributeError, OverflowError
        kind = "" if isinstance(error, PickleError) else f"{type(error).__name__}: "
        cause = " ".join(f"{kind}{error}".split())[:_LONGEST_CAUSE]
        raise DataError(f"{file}: not a CIFAR file of the Python release ({cause}); download it again") from error


def _batch(values: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(values, dict):
        raise ValueError(f"expected a dictionary, found {type(values).__name__}")
    by_name = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in values.items()}
    labels, (raw, shape) = by_name[name], _pixels(by_name["data"])
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels are no list of integers")
    count = len(labels)
    if shape != (count, 3072) or len(raw) != count * 3072:
        raise ValueError(f"{count} labels need data of ({count}, 3072) bytes, found {len(raw)} bytes")
    return np.frombuffer(raw, np.uint8).reshape(count, 3, 32, 32), np.array(labels, np.int64)


def _pixels(array: Any) -> tuple[bytes, Any]:
    """Content and shape of a recorded array."""
    if not isinstance(array, _Reconstructed | _FromBuffer):
        raise ValueError(f"expected its data to be an array, found {type(array).__name__}")
    raw, shape, dtype, fortran = array.content()
    if not isinstance(dtype, _Dtype) or dtype.name != "u1" or fortran or not isinstance(raw, str | bytes | bytearray):
        raise ValueError("its data are no row-major array of bytes")
    return raw.encode("latin-1") if isinstance(raw, str) else bytes(raw), shape  # Python 2 knows no bytes
