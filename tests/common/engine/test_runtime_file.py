"""Runtime files: what was written is what runs, bit for bit; what is damaged or newer is refused in one line."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from common.data.preprocessing import DIGITS, Preprocessing
from common.engine.about import About
from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.encoding import bits, signed, unsigned
from common.engine.interpreter import decode_blocks, interpret
from common.engine.layout import (
    BUFFER,
    CHOOSE,
    HEADER,
    INSTRUCTION,
    INTEGER_CONV,
    WINOGRAD_CONV,
    Program,
    padded,
)
from common.engine.opened import OpenedFile, read
from common.engine.runtime_file import VERSION, encode
from common.errors import ConfigError

pytestmark = pytest.mark.usefixtures("engine_sets")
NAMES = ("first", "second", "dritte Klasse: ä", "", "名", "x" * 300, "7")
ABOUT = About("tiny", "none", "digits", replace(DIGITS, image_size=1), 0.25, 8, NAMES, "a test")


@pytest.fixture(autouse=True)
def any_shape(monkeypatch):
    """Random networks take images of any height and width; Python's reader wants squares."""
    monkeypatch.setattr("common.engine.opened._about", lambda described, name: described)


def descriptions():
    """Random ones of three channels; some choose."""
    for seed in range(80):
        description = random_network(seed)
        if description.steps[0].shape[0] == 3:
            yield seed, description


def programs():
    """As files have them."""
    for seed, description in descriptions():
        yield seed, compile_network(description, plain=True)


def bits_of(values):
    return np.ascontiguousarray(values).view(np.int32)


def images_of(program, count, seed=0):
    header = program.header
    shape = (count, header["channels"], header["height"], header["width"])
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_files_compute_what_the_interpreter_does(monkeypatch):
    """On any threads, which share single images; in the form that is compiled for the engine, in its memory."""
    chosen = fast = grouped = 0
    for seed, description in descriptions():
        monkeypatch.setattr("common.engine.tensors._LARGE", 1 if seed % 2 else 2**18)
        program, compiled = compile_network(description, plain=True), compile_network(description)
        opened, x = OpenedFile(encode(program, ABOUT)), images_of(program, 5, seed)
        expected = bits_of(interpret(program, x))
        for threads in (0, 1, 3, 9):
            assert np.array_equal(bits_of(opened.run(x, threads)), expected), (seed, threads)
        for threads in (1, 2, 3, 16):
            assert np.array_equal(bits_of(opened.run(x[2:3], threads)), expected[2:3]), (seed, threads)
        assert opened.run(x[:0], 2).shape == (0, expected.shape[1])
        images = 4 if compiled.header["image"] else 1
        memory = compiled.header["scratch"] + compiled.header["arena"] + images * compiled.header["image"]
        assert opened.thread_nbytes == memory and opened.nbytes == compiled.nbytes + replaced(program, compiled)
        chosen += bool(program.header["decisions"])
        fast, grouped = fast + (opened.nbytes > program.nbytes), grouped + images // 4
    assert chosen >= 3 and fast >= 3 and grouped >= 3


def replaced(direct, compiled):
    """Bytes of the direct form of Winograd convolutions, which stays in memory beside it."""
    size = 0
    for instruction, made in zip(direct.instructions, compiled.instructions):
        if made["operation"] != WINOGRAD_CONV:
            continue
        for _, runs in decode_blocks(direct, instruction):
            size += 4 * (2 + 2 * len(runs)) + sum(count for _, count in runs) * 4 * padded(instruction["filters"])
    return size


def test_numbers_are_written_as_the_format_says():
    assert [unsigned(value).hex() for value in (0, 127, 128, 300)] == ["00", "7f", "8001", "ac02"]
    assert [signed(value).hex() for value in (0, -1, 1, -64, 64, -(2**31))] == [
        *("00", "01", "02", "7f", "8001", "ffffffff0f")
    ]
    assert bits(np.array([5, 0, 1]), np.array([3, 0, 2])) == bytes([0b01101])


def small_program() -> Program:
    return next(program for _, program in programs() if program.header["decisions"])


def refused(content: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        OpenedFile(content, "net.lowbit")
    line = str(caught.value)
    assert line.startswith("net.lowbit: ") and "\n" not in line
    return line


def sealed(content: bytes) -> bytes:
    return content[:-32] + hashlib.sha256(content[:-32]).digest()


def test_every_changed_byte_is_seen():
    content = encode(small_program(), ABOUT)
    for place in range(0, len(content), max(1, len(content) // 400)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        refused(bytes(changed))
    for size in (0, 7, 8, 12, 43, len(content) // 2, len(content) - 1):
        refused(content[:size])
    refused(content + b"\0")


def test_newer_versions_are_refused():
    content = bytearray(encode(small_program(), ABOUT))
    content[8:12] = (VERSION + 1).to_bytes(4, "little")
    line = refused(sealed(bytes(content)))
    assert f"version {VERSION + 1}, known is {VERSION}; take a newer lowbitzoo" in line


@pytest.mark.parametrize(
    "changes",
    [{"class_names": ("a", "b")}, {"accuracy": 1.5}, {"dataset": "two\nlines"}, {"network": "\x1b[2J"}],
    ids=["names", "accuracy", "line", "control"],
)
def test_what_a_file_says_of_itself_is_checked(changes):
    refused(encode(small_program(), replace(ABOUT, **changes)))


def instruction_field(program, operation, field, value):
    number = next(i for i, made in enumerate(program.instructions) if made["operation"] == operation)
    place = program.header["instructions"] + number * len(INSTRUCTION) + INSTRUCTION.index(field)
    program.words[place] = value


def header_field(field, value):
    return lambda program: program.words.__setitem__(HEADER.index(field), value)


def integers_field(field, value):
    return lambda program: instruction_field(program, INTEGER_CONV, field, value)


def too_large_codes(program):
    top = next(made["top"] for made in program.instructions if made["codes"] >= 0)
    program.constants[top] = 256


def too_large_weights(program):
    program.weights[:] = 127


def buffer_field(field, value):
    return lambda program: program.words.__setitem__(len(HEADER) + len(BUFFER) + BUFFER.index(field), value)


PLANTED = {
    "another version of the program": (header_field("version", 9), "another version"),
    "huge memory": (header_field("arena", 2**30), "256 MiB"),
    "too little memory": (header_field("arena", 64), "outside of its memory"),
    "many classes": (header_field("classes", 10**6), "no row of numbers"),
    "many tensors": (header_field("buffer_count", 2**31 - 1), "outside of its program"),
    "tensor behind the memory": (buffer_field("offset", 2**31 - 64), "outside of its memory"),
    "weights behind their array": (integers_field("weights", 2**31 - 1), "weights are outside"),
    "weights before their array": (integers_field("weights", -64), "weights are outside"),
    "blocks behind the program": (integers_field("blocks", 2**31 - 2), "blocks are outside"),
    "no blocks": (integers_field("block_count", 0), "no blocks"),
    "padding beyond the border": (integers_field("padding", 7), "window is outside"),
    "a kernel of another size": (integers_field("kernel_height", 65535), "window is outside"),
    "a source that is not written": (integers_field("source", 10**6), "read before it is written"),
    "scale behind the constants": (integers_field("scale", 2**31 - 1), "constants are outside"),
    "no scale": (integers_field("scale", -1), "no scale"),
    "unknown operation": (integers_field("operation", 99), "does not know"),
    "choices of too many": (lambda p: instruction_field(p, CHOOSE, "candidates", 65536), "scores that are not there"),
    "codes of nine bits": (too_large_codes, "larger than their bytes"),
    "sums that do not fit": (too_large_weights, "do not fit"),
}


@pytest.mark.parametrize(("plant", "reason"), PLANTED.values(), ids=PLANTED)
def test_a_wrong_program_is_refused_under_a_right_checksum(monkeypatch, plant, reason):
    monkeypatch.setattr("common.engine.runtime_file._kernels", lambda program: [])  # written as plain numbers
    program = small_program()
    copy = Program(program.words.copy(), program.weights.copy(), program.constants.copy(), program.names)
    plant(copy)
    assert reason in refused(encode(copy, ABOUT))


def test_files_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "missing.lowbit", tmp_path):
        with pytest.raises(ConfigError, match="cannot read"):
            read(path)


def test_what_is_said_comes_back(monkeypatch, tmp_path):
    monkeypatch.undo()
    side, builder = 5, Builder((3, 5, 5))
    logits = builder.float_conv(builder.image, np.ones((7, 3, side, side), np.float32))
    program = compile_network(builder.finish(logits), plain=True)
    images = Preprocessing(side, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), resize=side + 3, interpolation="bicubic")
    about = replace(ABOUT, preprocessing=images)
    (tmp_path / "net.lowbit").write_bytes(encode(program, about))
    assert read(tmp_path / "net.lowbit").about == about
