"""A runtime file, opened by the library: the functions of ``lowbit.h`` by ctypes."""

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np

from common.engine.about import About
from common.engine.library import library
from common.errors import ConfigError

_ERROR_BYTES = 2048
_TEXT, _CHANNELS = ctypes.c_char_p, 3


class _Description(ctypes.Structure):
    """``lowbit_description``."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("channels", "height", "width", "classes", "choices", "resize")),
        *(("interpolation", _TEXT), ("mean", ctypes.c_double * _CHANNELS), ("deviation", ctypes.c_double * _CHANNELS)),
        *(("accuracy", ctypes.c_double), ("samples", ctypes.c_int64)),
        *((name, _TEXT) for name in ("network", "method", "dataset", "producer")),
        *(("class_names", ctypes.POINTER(_TEXT)), ("instructions", _TEXT)),
        *((name, ctypes.c_int64) for name in ("bytes", "thread_bytes", "multiply_adds")),
    )


def declare(handle: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of the functions of ``lowbit.h``."""
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    ends = [ctypes.c_char_p, size]
    handle.lowbit_open_memory.argtypes = [pointer, size, ctypes.POINTER(pointer), *ends]
    handle.lowbit_describe.argtypes, handle.lowbit_describe.restype = [pointer], ctypes.POINTER(_Description)
    handle.lowbit_run.argtypes = [pointer, pointer, ctypes.c_int64, ctypes.c_int, pointer, *ends]
    handle.lowbit_close.argtypes, handle.lowbit_close.restype = [pointer], None
    return handle


class OpenedFile:
    """A network from a file; it does not change, and any number of threads may run it at the same time.

    Args:
        content: of the file.
        name: of it, for messages.

    Attributes:
        about: what the file says of itself.
        shape: (C, H, W) of an image.
        classes: number of logits.
        choices: numbers behind them: candidates that the image has chosen.
        instructions: that run, such as ``vnni``.
        nbytes: that it takes in memory.
        thread_nbytes: that each thread of a run takes beside that.
        multiply_adds: of an image.

    Raises:
        ConfigError: the file is damaged or of a newer version, or the library cannot be had.
    """

    def __init__(self, content: bytes, name: str = "runtime file"):
        handle = library()
        if handle is None:
            raise ConfigError(
                "runtime: expected the compiled library of a wheel or a C++ compiler, found neither; install g++"
            )
        self._library, self._network = declare(handle), ctypes.c_void_p()
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        network = ctypes.byref(self._network)
        if handle.lowbit_open_memory(content, len(content), network, error, _ERROR_BYTES):
            raise ConfigError(f"{name}: {_reason(error)}")
        described = handle.lowbit_describe(self._network).contents
        self.shape = (described.channels, described.height, described.width)
        self.classes, self.choices = described.classes, described.choices
        self.instructions = described.instructions.decode()
        self.nbytes, self.thread_nbytes = described.bytes, described.thread_bytes
        self.multiply_adds = described.multiply_adds
        self.about = _about(described, name)

    def run(self, images: np.ndarray, threads: int) -> np.ndarray:
        """Logits and choices (N, classes + choices) of images float32 (N, C, H, W)."""
        images = np.ascontiguousarray(images, np.float32)
        results = np.empty((len(images), self.classes + self.choices), np.float32)
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        arrays = (images.ctypes.data, len(images), threads, results.ctypes.data)
        if self._library.lowbit_run(self._network, *arrays, error, _ERROR_BYTES):
            raise ConfigError(f"runtime: {_reason(error)}")
        return results

    def __del__(self) -> None:
        if getattr(self, "_network", None):
            self._library.lowbit_close(self._network)


def read(path: str | os.PathLike) -> OpenedFile:
    """A file opened.

    Raises:
        ConfigError: it is missing, damaged or of a newer version.
    """
    try:
        return OpenedFile(Path(path).read_bytes(), str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _reason(error: Any) -> str:
    return error.value.decode(errors="replace").removeprefix("these bytes: ")


def _about(described: _Description, name: str) -> About:
    from common.data.preprocessing import Preprocessing

    texts = {field: getattr(described, field).decode() for field in ("network", "method", "dataset", "producer")}
    names = described.class_names
    classes = tuple(names[i].decode() for i in range(described.classes)) if names else ()
    if described.height != described.width:
        raise ConfigError(f"{name}: expected square images, found {described.height} x {described.width}")
    try:
        preprocessing = Preprocessing(
            described.height,
            tuple(described.mean),
            tuple(described.deviation),
            described.resize or None,
            interpolation=described.interpolation.decode(),
        )
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return About(
        **texts,
        preprocessing=preprocessing,
        accuracy=described.accuracy,
        samples=described.samples,
        class_names=classes,
    )
