"""Convolutions that sum whole numbers, against sums in float64: two roundings of the product, none of the sums."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.kernels import native_available
from common.quant.grid_conv import GridConv2d
from common.quant.layers import QuantConv2d
from common.quant.pact import PACTActivation, pact
from common.runtime.context import execution_mode

CLIP = 2.7
HALF_ULP = 2.0**-24


@pytest.fixture(params=[True, False], ids=["native", "fallback"])
def native(request):
    if request.param and not native_available():
        pytest.skip("needs a C++ compiler")
    return request.param


def layer(channels, filters, kernel, stride, bias, native, rng):
    """A convolution with weights of LDNQ's 11 levels, one filter of zeros and one that lacks the small levels."""
    levels = rng.choice([0, 1, 2, 4, 8, 16], (filters, channels, kernel, kernel))
    levels *= rng.choice([-1, 1], levels.shape)
    levels[1], levels[2] = 0, 16 * np.sign(levels[2])
    scale = rng.uniform(0.001, 0.02, (filters, 1, 1, 1)).astype(np.float32)
    options = {"stride": stride, "pad_mode": "pad", "padding": kernel // 2, "has_bias": bias}
    conv = nn.Conv2d(channels, filters, kernel, **options)
    conv.weight.set_data(Tensor(scale * levels.astype(np.float32)))
    if bias:
        conv.bias.set_data(Tensor(rng.normal(0, 1, filters).astype(np.float32)))
    cells = (QuantConv2d(conv, None, PACTActivation(8, CLIP, native=native), native) for _ in range(2))
    plain, taken = cells
    grid = GridConv2d(taken, taken.quantize_input)
    for cell in (plain, grid):
        for name, parameter in cell.parameters_and_names():
            parameter.name = name
    return plain.set_train(False), grid.set_train(False), levels, scale, conv.bias.asnumpy() if bias else 0.0


def exact(x, levels, scale, stride):
    """The equation in float64 from the codes, (N, OH, OW, F), and the roundings of a product that it allows."""
    codes = np.rint(pact(x, 8, CLIP).astype(np.float64) * 255 / CLIP)
    side = levels.shape[2] // 2
    codes = np.pad(codes, ((0, 0), (0, 0), (side, side), (side, side)))
    windows = np.lib.stride_tricks.sliding_window_view(codes, levels.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    sums = np.einsum("nchwij,fcij->nhwf", windows, levels)
    return sums * (float(np.float32(CLIP)) / 255) * scale.astype(np.float64).ravel()


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "bias"), [(16, 3, 1, False), (64, 3, 1, True), (7, 3, 2, False), (33, 1, 2, True)]
)
def test_sums_are_those_of_float64(native, mode, channels, kernel, stride, bias):
    rng = np.random.default_rng(channels)
    plain, grid, levels, scale, added = layer(channels, 19, kernel, stride, bias, native, rng)
    x = rng.uniform(-0.5, 1.2 * CLIP, (3, channels, 9, 13)).astype(np.float32)
    with execution_mode(mode):
        found, before = (cell(Tensor(x)).asnumpy().transpose(0, 2, 3, 1).astype(np.float64) for cell in (grid, plain))
    product = exact(x, levels, scale, stride)
    expected, allowed = product + added, 3.01 * HALF_ULP * np.abs(product)  # of clip / 255, of u s, of their product
    allowed = allowed + (HALF_ULP * 1.01 * np.abs(expected) if bias else 0)
    assert (np.abs(found - expected) <= allowed).all()
    assert (np.abs(before - expected) > allowed).any() and np.abs(before - expected).max() < 1e-4 * product.std()


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_codes_are_the_levels_numbers(native, bits, pynative):
    cell = PACTActivation(bits, CLIP, native=native)
    for name, parameter in cell.parameters_and_names():
        parameter.name = name
    x = np.random.default_rng(bits).uniform(-1, 1.3 * CLIP, (4, 3, 50, 50)).astype(np.float32)
    codes, unit = (part.asnumpy() for part in cell.codes(Tensor(x)))
    assert set(np.unique(codes)) == set(range(2**bits))
    assert np.array_equal(codes * unit, cell(Tensor(x)).asnumpy())
