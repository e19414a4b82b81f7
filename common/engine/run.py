"""Programs on images: by the C++ operator where it can be had, else by the interpreter, with the same bits."""

import ctypes

import numpy as np

from common.engine.interpreter import interpret
from common.engine.layout import Program
from common.engine.library import instruction_sets, library
from common.errors import ConfigError

INTERPRETER = "interpreter"


def run(
    program: Program,
    images: np.ndarray,
    instruction_set: str = "",
    nanoseconds: np.ndarray | None = None,
    handle: ctypes.CDLL | None = None,
) -> np.ndarray:
    """Logits (N, classes) float32, and behind them the candidates' numbers of what images choose.

    Args:
        program: compiled network.
        images: (N, C, H, W).
        instruction_set: ``vnni``, ``avx2``, ``neon_dot``, ``neon``, ``plain`` or ``interpreter``; empty: the fastest.
        nanoseconds: int64 (instructions,) that the time of each is added to; of one thread.
        handle: library; None: the project's.

    Raises:
        ConfigError: images of another shape, or instructions that the processor does not have.
    """
    header = program.header
    images = np.ascontiguousarray(images, np.float32)
    expected = (header["channels"], header["height"], header["width"])
    if images.ndim != 4 or images.shape[1:] != expected:
        raise ConfigError(f"integer engine: expected images (N, {', '.join(map(str, expected))}), found {images.shape}")
    handle = handle or library()
    if handle is None or instruction_set == INTERPRETER:
        return interpret(program, images)
    logits = np.empty((len(images), header["classes"] + header["decisions"]), np.float32)
    arrays = [array.ctypes.data for array in (program.words, program.weights, program.constants, images)]
    times = None if nanoseconds is None else nanoseconds.ctypes.data
    status = handle.RunProgram(*arrays, len(images), logits.ctypes.data, instruction_set.encode(), times)
    if status:
        known = ", ".join((*instruction_sets(handle), INTERPRETER))
        raise ConfigError(
            f"integer engine: expected one of {known} and memory for the images, found {instruction_set!r} and status "
            f"{status}"
        )
    return logits


def set_threads(count: int) -> None:
    """Let the engine use at most ``count`` threads (0: as many as the machine has)."""
    handle = library()
    if handle:
        handle.SetEngineThreads(ctypes.c_int(count))
