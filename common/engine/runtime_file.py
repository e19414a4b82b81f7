"""Writes a program with what must be known of it as one file, which the library reads; FORMAT.md has its bytes."""

import hashlib
import itertools
import struct
from collections.abc import Iterator

import numpy as np

from common.engine.about import About
from common.engine.encoding import doubles, signed, text, unsigned
from common.engine.interpreter import decode_blocks
from common.engine.layout import (
    DEPTHWISE_CONV,
    DIFFERENCE_CONV,
    DIFFERENCE_TAPS,
    FLOAT_CONV,
    INTEGER_CONV,
    STEP_TAPS,
    Program,
    Record,
)
from common.engine.tables import Kernel, coded

MARK, VERSION = b"LOWBITNN", 1
SUFFIX = ".lowbit"
TABLES, NUMBERS, REPEATED = map(unsigned, range(3))  # kinds of parts
_RUN = 4  # equal numbers that are shorter as one


def encode(program: Program, about: About) -> bytes:
    """The file of a program."""
    parts = [MARK, struct.pack("<I", VERSION), _about(about)]
    parts += [unsigned(len(program.words)), *map(signed, program.words.tolist())]
    kernels = list(_kernels(program))
    integers = [kernel for integer, kernel in kernels if integer]
    floats = [kernel for integer, kernel in kernels if not integer]
    parts += [_array(program.weights, integers), _array(program.constants, floats)]
    content = b"".join(parts)
    return content + hashlib.sha256(content).digest()


def _about(about: About) -> bytes:
    images = about.preprocessing
    parts = [text(value) for value in (about.producer, about.network, about.method, about.dataset)]
    parts += [doubles([about.accuracy]), unsigned(about.samples), unsigned(images.resize or 0)]
    parts += [text(images.interpolation), doubles(images.mean), doubles(images.std)]
    return b"".join([*parts, unsigned(len(about.class_names)), *map(text, about.class_names)])


def _kernels(program: Program) -> Iterator[tuple[bool, Kernel]]:
    """The weights of all convolutions, and whether they are integers."""
    for instruction in program.instructions:
        operation, filters = instruction["operation"], instruction["filters"]
        if operation in (INTEGER_CONV, DIFFERENCE_CONV):
            taps = STEP_TAPS if operation == INTEGER_CONV else DIFFERENCE_TAPS
            steps = sum(count for _, runs in decode_blocks(program, instruction) for _, count in runs)
            yield True, Kernel(instruction["weights"], filters, steps * STEP_TAPS // taps, taps)
        elif operation == DEPTHWISE_CONV:
            taps = instruction["kernel_height"] * instruction["kernel_width"]
            yield False, Kernel(instruction["weights"], filters, taps, 1)
        elif operation == FLOAT_CONV:
            yield False, Kernel(instruction["weights"], filters, _float_taps(program, instruction), 1)


def _float_taps(program: Program, instruction: Record) -> int:
    return instruction["kernel_height"] * instruction["kernel_width"] * program.buffers[instruction["source"]]["stride"]


def _array(array: np.ndarray, kernels: list[Kernel]) -> bytes:
    """Its length and its parts: kernels, and the numbers between them."""
    parts, done = [unsigned(len(array))], 0
    for kernel in sorted(kernels, key=lambda kernel: kernel.start):
        parts += [*_numbers(array[done : kernel.start]), TABLES, coded(array, kernel)]
        done = kernel.start + kernel.size
    return b"".join([*parts, *_numbers(array[done:])])


def _numbers(array: np.ndarray) -> Iterator[bytes]:
    """Runs of equal numbers as one, all others as they are."""
    raw = array.view(f"u{array.itemsize}")
    edges = np.flatnonzero(np.diff(raw)) + 1 if len(raw) else np.zeros(0, np.int64)
    bounds = [0, *edges.tolist(), len(raw)]
    runs = [(a, b) for a, b in itertools.pairwise(bounds) if b - a >= _RUN]
    done = 0
    for start, end in runs:
        yield from _plain(raw[done:start])
        yield REPEATED + unsigned(end - start) + raw[start : start + 1].tobytes()
        done = end
    yield from _plain(raw[done:])


def _plain(raw: np.ndarray) -> Iterator[bytes]:
    if len(raw):
        yield NUMBERS + unsigned(len(raw)) + raw.tobytes()
