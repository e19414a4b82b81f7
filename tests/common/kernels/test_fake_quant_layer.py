"""Fake quantization in a layer: the values and gradients of the reference, and what the probes mean."""

import conv_oracle
import fake_quant_oracle as oracle
import numpy as np
import pytest
from fake_quant_calls import CLIP, KINDS, needs_compiler, table, uniform, zeros
from mindspore import Tensor, nn

from common.kernels.conv import float_conv2d
from common.kernels.fake_quant import CodebookQuantize, UniformQuantize


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "dambq_layers.npz")


@pytest.fixture(scope="module")
def levels(golden):
    """The table in rising order without repeats."""
    rows = [np.unique(row) for row in golden["quant_bases"]]
    return np.stack([np.pad(row, (0, 16 - len(row))) for row in rows]).astype(np.float32)


@pytest.mark.parametrize("native", KINDS)
def test_golden_values(golden, levels, native, mode):
    w_q = table(golden["w"], golden["w_bits"], golden["w_clip"], levels, native=native)
    assert conv_oracle.error(w_q, golden["w_q"]) < 1e-6
    x_q = uniform(golden["x"], golden["x_bits"], golden["x_clip"], native=native)
    assert conv_oracle.error(x_q, golden["x_q"]) < 1e-6


class QuantizedConv(nn.Cell):
    """Both quantizers and a convolution of padding 1."""

    def __init__(self, x_bits, w_bits, scale, levels, native):
        super().__init__()
        self.x_bits, self.w_bits = (Tensor(np.asarray(bits, np.int32)) for bits in (x_bits, w_bits))
        self.scale, self.levels = Tensor(scale), Tensor(levels)
        self.quantize_x, self.quantize_w = UniformQuantize(native=native), CodebookQuantize(native)
        self.conv = float_conv2d(1, 1, native=native)

    def construct(self, x, w, clip, x_probe, w_probe):
        w = self.quantize_w(w, self.w_bits, self.scale, self.levels, w_probe)
        return self.conv(self.quantize_x(x, self.x_bits, clip, x_probe), w)


@pytest.mark.parametrize("native", KINDS)
def test_golden_layer(golden, levels, native, mode):
    needs_compiler(native)
    layer = QuantizedConv(golden["conv_x_bits"], golden["w_bits"], golden["conv_alpha_wgt"], levels, native)
    inputs = golden["x"], golden["w"], np.full(1, 3, np.float32), zeros(6), zeros(10)
    y, gx, gw, gclip, x_change, w_change = conv_oracle.run(layer, inputs, golden["conv_gy"])
    # The errors are the changes per value: 6 x 3 x 3 weights, 4 images of 8 x 8.
    found = y, gx, gclip, abs(x_change) / (4 * 64), abs(w_change) / 54
    for value, key in zip(found, ("y", "gx", "galpha", "x_err", "w_err"), strict=True):
        assert np.abs(value - golden[f"conv_{key}"]).max() < 1e-5 * np.abs(golden[f"conv_{key}"]).max(), key
    assert np.abs(gw - golden["conv_gw"]).max() < 5e-5 * np.abs(golden["conv_gw"]).max()


@pytest.mark.parametrize("native", KINDS)
def test_probes_get_the_derivative_towards_no_quantization(native, mode):
    """sum g conv(..) is linear in each quantized tensor, so its difference quotient is the derivative."""
    needs_compiler(native)
    x, x_bits, _ = oracle.uniform_sample((3, 6, 7, 9), 0, CLIP)
    w, w_bits, scale, levels, _ = oracle.table_sample((7, 6, 3, 3), 4)
    gy = np.random.default_rng(0).normal(0, 1, (3, 7, 7, 9)).astype(np.float32)
    layer = QuantizedConv(x_bits, w_bits, scale, np.nan_to_num(levels), native)
    changes = conv_oracle.run(layer, (x, w, np.full(1, CLIP), zeros(6), zeros(7)), gy)[-2:]
    x_q, w_q = oracle.uniform(x, x_bits, CLIP), oracle.table_quantized(w, w_bits, scale, levels)

    def loss(x, w):
        return (gy * conv_oracle.forward(x, w, 1, 1)).sum()

    start, t = loss(x_q, w_q), 0.125
    for channel in range(6):
        moved = x_q.copy()
        moved[:, channel] += t * (x - x_q)[:, channel]
        assert changes[0][channel] == pytest.approx((loss(moved, w_q) - start) / t, rel=1e-4, abs=1e-3)
    for row in range(7):
        moved = w_q.copy()
        moved[row] += t * (w - w_q)[row]
        assert changes[1][row] == pytest.approx((loss(x_q, moved) - start) / t, rel=1e-4, abs=1e-3)
