"""Layers between codes and codes, whose sums never leave registers, at widths around those of tiles; against NumPy."""

import numpy as np
import pytest

from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.description import Grid
from common.engine.interpreter import interpret
from common.engine.run import run


def convolved(codes, weight, stride, padding):
    """Sums of windows, in integers."""
    kernel = weight.shape[2]
    padded = np.pad(codes.astype(np.int64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    sides = [(side - kernel) // stride + 1 for side in padded.shape[2:]]
    total = np.zeros((len(codes), len(weight), *sides), np.int64)
    for i, j in np.ndindex(kernel, kernel):
        tap = padded[:, :, i : i + stride * sides[0] : stride, j : j + stride * sides[1] : stride]
        total += np.einsum("nchw,fc->nfhw", tap[:, :, : sides[0], : sides[1]], weight[:, :, i, j].astype(np.int64))
    return total


@pytest.mark.parametrize("width", [1, 3, 5, 7, 8, 9, 14, 15, 16, 21])
@pytest.mark.parametrize("window", [(1, 1, 0), (1, 2, 0), (3, 2, 1), (3, 1, 1)], ids=str)
@pytest.mark.parametrize("filters", [16, 24, 40], ids=str)
def test_codes_of_codes(engine_sets, width, window, filters):
    (kernel, stride, padding), top = window, 13
    rng, channels, height = np.random.default_rng(width + filters), 12, 4
    builder = Builder((channels, height, width))
    x = rng.integers(0, 256, (2, channels, height, width)).astype(np.float32)
    codes = builder.codes(builder.image, Grid(np.ones(1, np.float32), np.array([255])))
    weight = rng.integers(-127, 128, (filters, channels, kernel, kernel))
    scale = rng.uniform(1e-4, 1e-3, filters).astype(np.float32)
    between = builder.codes(
        builder.integer_conv(codes, [weight], [scale], stride, padding), Grid(np.ones(1, np.float32), np.array([top]))
    )
    last = rng.integers(-7, 8, (5, filters, 1, 1))
    value = builder.integer_conv(between, [last], [np.ones(5, np.float32)])
    sides = convolved(x, weight, stride, padding).shape[2:]
    every = np.zeros((5 * sides[0] * sides[1], 5, *sides), np.float32)
    every.reshape(len(every), -1)[np.arange(len(every)), np.arange(len(every))] = 1  # every value is a logit
    program = compile_network(builder.finish(builder.float_conv(value, every)), plain=True)
    scaled = convolved(x, weight, stride, padding).astype(np.float32) * scale[:, None, None]
    expected = convolved(np.rint(np.clip(scaled, 0, top)), last, 1, 0).reshape(2, -1)
    assert np.array_equal(interpret(program, x), expected) and expected.any()
    for name in engine_sets:
        assert np.array_equal(run(program, x, name), expected), name
