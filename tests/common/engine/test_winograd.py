"""Integer Winograd convolutions: the integers of float64's direct sums, whatever the size, in all instruction sets."""

import numpy as np
import pytest
from random_networks import random_network

from common.engine import compiler, winograd
from common.engine import tensors as engine_tensors
from common.engine.block_sums import blocks_at
from common.engine.bounds import LANE
from common.engine.compiler import compile_network
from common.engine.description import Description, FloatConv, Grid, Image, IntegerConv, Tail
from common.engine.interpreter import interpret, tensors
from common.engine.layout import GROUP, STEP_TAPS, WINOGRAD_CONV, padded
from common.engine.run import run

SIZES = [(1, 1), (2, 7), (7, 7), (9, 8), (3, 34), (5, 16)]


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setattr(compiler, "pays", lambda *_: True)


def network(rng, channels, filters, size, top, padding, most=15):
    """Codes are the images' values; each pixel's sums are logits, for what follows reads all of them as one window."""
    eye = np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)
    grid, ones = Grid(np.ones(1, np.float32), np.full(1, top)), (np.ones(filters), np.zeros(filters))
    weight = rng.integers(-most, most + 1, (filters, channels, 3, 3))
    height, width = (side + 2 * padding - 2 for side in size)
    last = rng.integers(-3, 4, (8, filters, height, width)).astype(np.float32)
    steps = (
        Image("image", (channels, *size)),
        FloatConv("image", eye, Tail(codes="x", grid=grid)),
        IntegerConv("x", weight, Tail(ones, store="y"), padding=padding),
        FloatConv("y", last, Tail(store="logits")),
    )
    return Description(steps, "logits"), weight


def sums(x, weight, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    return np.einsum("nchwij,fcij->nhwf", windows, weight, dtype=np.float64)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("channels", "filters"), [(1, 1), (17, 33), (32, 16), (64, 48), (5, 64)], ids=str)
def test_sums_are_those_of_float64(engine_sets, size, channels, filters):
    rng = np.random.default_rng(channels + sum(size))
    for top, padding, most in ((15, 1, 15), (63, 2, 127), (1, 1, 1700), (3, 3, 1)):
        description, weight = network(rng, channels, filters, size, top, padding, most)
        program = compile_network(description)
        assert program.instructions[2]["operation"] == WINOGRAD_CONV
        x = rng.integers(0, top + 1, (2, channels, *size))
        found = tensors(program, x.astype(np.float32))[program.names.index("y")][..., :filters]
        assert np.array_equal(found, sums(x, weight, padding))
        expected = interpret(program, x.astype(np.float32))
        assert all(np.array_equal(expected, run(program, x.astype(np.float32), name)) for name in engine_sets)


def test_bytes_at_their_ends_are_right(engine_sets):
    """Codes of 0 and the largest, weights of one sign, and alternating ones: the ends of every position's range."""
    rng = np.random.default_rng(0)
    description, _ = network(rng, 32, 16, (6, 6), 63, 1)
    signs = np.sign(rng.normal(size=(16, 1, 3, 3)))
    signs[0], signs[1], signs[2] = 1, -1, [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
    steps = list(description.steps)
    weight = (14 * np.broadcast_to(signs, (16, 32, 3, 3))).astype(np.int64)
    steps[2] = IntegerConv("x", weight, steps[2].tail, padding=1)
    program = compile_network(Description(tuple(steps), "logits"))
    x = 63 * rng.integers(0, 2, (50, 32, 6, 6)).astype(np.float32)
    x[0], x[1] = 0, 63
    found = tensors(program, x)[program.names.index("y")][..., :16]
    assert np.array_equal(found, sums(x, weight, 1))
    assert all(np.array_equal(interpret(program, x), run(program, x, name)) for name in engine_sets)


def test_lanes_fit_whatever_the_codes():
    """Bounds of every position's blocks from the bytes of the program and the range of its transformed codes alone."""
    rng, top, channels = np.random.default_rng(0), 63, 48
    description, _ = network(rng, channels, 20, (6, 6), top, 1, 127)
    program = compile_network(description)
    instruction = program.instructions[2]
    filters = padded(instruction["filters"])
    place = instruction["blocks"] + 1 + 4 * filters
    positions = []
    for _ in range(winograd.POSITIONS):
        blocks, place = blocks_at(program, place + 1, int(program.words[place]))
        positions.append(blocks)
    counts = [count for blocks in positions for _, runs in blocks for _, count in runs]
    size = sum(counts) * STEP_TAPS * filters
    weights = program.weights[instruction["weights"] :][:size].astype(np.int64)
    weights, first = weights.reshape(filters // GROUP, sum(counts), GROUP, STEP_TAPS // 2, 2), 0
    for blocks in positions:
        for _, runs in blocks:
            part = 4 * top * weights[:, first : (first := first + sum(count for _, count in runs))]
            low, high = (bound(part, 0).sum((1, 4)) for bound in (np.minimum, np.maximum))
            assert high.max() <= LANE and low.min() >= -LANE - 1
    assert max(len(blocks) for blocks in positions) > 1


def test_codes_and_weights_that_do_not_fit_stay_direct():
    rng = np.random.default_rng(0)
    weight = rng.integers(-15, 16, (16, 32, 3, 3))
    assert winograd.pack_winograd(weight, np.full(32, 63)) is not None
    assert winograd.pack_winograd(weight, np.full(32, 64)) is None
    assert winograd.pack_winograd(weight * 2000, np.full(32, 63)) is None
    assert winograd.pack_winograd(weight * 10**8, np.full(32, 1)) is None


def test_plain_programs_give_the_same_bits(engine_sets, images, monkeypatch):
    monkeypatch.setattr(engine_tensors, "_LARGE", 1)
    changed = 0
    for seed in range(20):
        description = random_network(seed)
        program, plain = compile_network(description), compile_network(description, plain=True)
        assert plain.header["scratch"] == 0
        changed += program.header["scratch"] > 0
        x = images(description, 3, seed)
        expected = interpret(plain, x)
        for made in (program, plain):
            assert all(np.array_equal(expected, run(made, x, name)) for name in engine_sets)
    assert changed > 5


def test_few_channels_stay_direct(monkeypatch):
    """Transforms cost more than they save there; stride and kernel decide as well."""
    monkeypatch.undo()
    for channels, expected in ((16, False), (32, True), (64, True)):
        description, _ = network(np.random.default_rng(0), channels, channels, (16, 16), 15, 1)
        assert (compile_network(description).instructions[2]["operation"] == WINOGRAD_CONV) is expected
