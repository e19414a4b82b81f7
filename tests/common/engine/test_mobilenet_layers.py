"""What MobileNetV2 needs: single channels, ReLU6, inputs that may be negative; against NumPy's float64."""

import numpy as np
import pytest

from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.description import Grid
from common.engine.interpreter import interpret
from common.engine.networks.layers import Layers
from common.engine.run import run
from common.errors import QuantizationError
from common.quant.integer_weight import ActivationGrid, IntegerLayer, IntegerWeight
from common.quant.level_table import DOREFA


def same_everywhere(description, x, engine_sets):
    """The interpreter's results, once all instruction sets have given the same bits."""
    program = compile_network(description)
    expected = interpret(program, x)
    for name in engine_sets:
        assert np.array_equal(run(program, x, name).view(np.int32), np.ascontiguousarray(expected).view(np.int32)), name
    return expected


def pixels(shape, seed=0, size=1.0):
    return np.random.default_rng(seed).normal(0, size, (2, *shape)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 40])
@pytest.mark.parametrize("window", [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 5), 3, 2), ((1, 1), 1, 0)], ids=str)
def test_each_channel_is_filtered_by_itself(engine_sets, channels, window):
    kernel, stride, padding = window
    rng, builder, size = np.random.default_rng(channels), Builder((channels, 9, 11)), (9, 11)
    x = rng.integers(0, 256, (2, channels, *size)).astype(np.float32)
    weight = rng.integers(-255, 256, (channels, 1, *kernel))
    codes = builder.codes(builder.image, Grid(np.ones(1, np.float32), np.array([255])))
    y = builder.depthwise_conv(codes, weight, np.full(channels, 1.0), stride, padding)
    rows, columns = ((side + 2 * padding - k) // stride + 1 for side, k in zip(size, kernel))
    every = np.zeros((rows * columns * channels, channels, rows, columns), np.float32)
    every.reshape(len(every), -1)[np.arange(len(every)), np.arange(len(every))] = 1  # every value is a logit
    result = same_everywhere(builder.finish(builder.float_conv(y, every)), x, engine_sets)
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    expected = np.zeros((2, channels, rows, columns), np.int64)
    for i, j in np.ndindex(*kernel):
        tap = padded[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride][:, :, :rows, :columns]
        expected += tap * weight[:, 0, i, j, None, None]
    assert np.array_equal(result.reshape(expected.shape), expected)


def test_sums_that_floats_do_not_hold_are_refused():
    builder = Builder((1, 300, 300))
    codes = builder.codes(builder.image, Grid(np.ones(1, np.float32), np.array([255])))
    builder.depthwise_conv(codes, np.full((1, 1, 300, 300), 127), np.ones(1))
    with pytest.raises(QuantizationError, match=r"below 2\^24"):
        compile_network(
            builder.finish(builder.pool(builder.float_conv(builder.image, np.ones((1, 1, 1, 1))), (300, 300)))
        )


def signed_layer(clip, bits, filters, channels):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 16, (filters, channels, 1, 1)).astype(np.uint8)
    scale = np.array([0.01], np.float32)
    weight = IntegerWeight(codes, np.array([4], np.uint8), scale, DOREFA)
    grid = ActivationGrid(np.array([bits], np.uint8), np.array([clip], np.float32), signed=True)
    return IntegerLayer((weight,), (grid,))


@pytest.mark.parametrize("stays", [False, True], ids=["folded", "read twice"])
def test_inputs_may_be_negative(engine_sets, stays):
    layer, x = signed_layer(1.5, 4, 5, 6), pixels((6, 1, 1))
    layers = Layers({}, {"conv": layer}, (1, 1))
    layers.builder = Builder((6, 1, 1))
    value = layers.builder.take(layers.builder.image)
    if stays:
        layers.builder.name(value)
    result = same_everywhere(layers.builder.finish(layers.conv("conv", value)), x, engine_sets)
    step = 2 * 1.5 / 15
    levels = step * np.rint((np.clip(x.astype(np.float64), -1.5, 1.5) + 1.5) / step) - 1.5
    expected = levels[:, :, 0, 0] @ layer.weights[0].dequantize()[:, :, 0, 0].astype(np.float64).T
    assert np.abs(result - expected).max() < 1e-5


@pytest.mark.parametrize("clip", [2.0, 6.0, 9.0])
def test_relu6_is_a_bound_of_codes_and_floats(engine_sets, clip):
    x, builder = pixels((4, 1, 1), size=5.0), Builder((4, 1, 1))
    value = builder.relu6(builder.affine(builder.take(builder.image), np.full(4, 2.0), np.zeros(4)))
    grid = Grid(np.array([255 / clip], np.float32), np.array([255]))
    codes = builder.codes(value, grid)
    eye = np.eye(4, dtype=np.int64)[..., None, None]
    result = same_everywhere(
        builder.finish(builder.integer_conv(codes, [eye], [np.full(4, clip / 255)])), x, engine_sets
    )
    exact = np.clip(np.minimum(2 * x[:, :, 0, 0], 6), 0, clip)
    assert np.abs(result - exact).max() <= clip / 255 / 2 + 1e-6
    builder = Builder((4, 1, 1))
    floats = same_everywhere(builder.finish(builder.relu6(builder.take(builder.image))), x, engine_sets)
    assert np.array_equal(floats, np.clip(x[:, :, 0, 0], 0, 6))
