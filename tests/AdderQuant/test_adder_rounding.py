"""A quantized adder layer with its BatchNorm against float64: the mean of its sums cancels before rounding."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from AdderQuant.quant import QuantAdder2d
from common.kernels.build import native_available
from common.quant.integer_weight import IntegerWeight, one
from common.quant.level_table import UNSIGNED

CHANNELS, FILTERS, SIDE = 64, 16, 7


def made(native):
    """A layer on 4 bits, BatchNorm whose mean is that of the layer's outputs, and inputs on the grid."""
    rng = np.random.default_rng(2)
    step, codes = np.float32(0.137), rng.integers(0, 16, (FILTERS, CHANNELS, 3, 3)).astype(np.uint8)
    bias = rng.normal(-20, 5, FILTERS).astype(np.float32)
    layer = QuantAdder2d(CHANNELS, FILTERS, 3, native=native)
    layer.set_codes(IntegerWeight(codes, one(4, np.uint8), one(step, np.float32), UNSIGNED), bias)
    q = rng.integers(0, 16, (2, CHANNELS, SIDE, SIDE))
    windows = np.lib.stride_tricks.sliding_window_view(q, (3, 3), (2, 3))
    sums = np.stack([np.abs(windows - kernel[:, None, None]).sum((1, 4, 5)) for kernel in codes.astype(int)], 1)
    y = bias[:, None, None].astype(np.float64) - float(step) * sums
    norm = nn.BatchNorm2d(FILTERS).set_train(False)
    mean, variance = (statistic((0, 2, 3)).astype(np.float32) for statistic in (y.mean, y.var))
    norm.moving_mean.set_data(Tensor(mean))
    norm.moving_variance.set_data(Tensor(variance))
    mean, variance = (part[:, None, None].astype(np.float64) for part in (mean, variance))
    return layer, norm, Tensor(q.astype(np.float32) * step), y, (y - mean) / np.sqrt(variance + norm.eps)


@pytest.mark.parametrize("native", [True, False], ids=["native", "fallback"])
def test_layer_and_norm_round_as_little_as_float32_can(native, mode):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    layer, norm, x, _, expected = made(native)
    found = layer.fused(x, norm, None, False).asnumpy()
    assert np.abs(expected).max() > 2 and np.abs(found - expected).max() < 5e-7


@pytest.mark.parametrize("native", [True, False], ids=["native", "fallback"])
def test_a_layer_alone_has_its_bias(native, pynative):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    layer, _, x, expected, _ = made(native)
    np.testing.assert_allclose(layer(x).asnumpy(), expected, rtol=2e-7)
