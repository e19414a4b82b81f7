"""The convolution as training computes it: larger squares in the forward pass, sums of gradients in one pass."""

import adder_oracle
import conv_oracle as oracle
import numpy as np
import pytest
from conv_calls import TOLERANCE
from mindspore import Tensor, nn, ops

from common.kernels import native_available
from common.kernels.conv import NativeForkedConv, float_conv2d
from common.kernels.fake_quant import NativeForkedUniform, UniformQuantize
from common.runtime.context import execution_mode

# N, C, H, W, F, KH, KW, stride, padding: whole squares of four outputs and parts of them, each padding, few and many
# channels and filters, other kernels and strides.
SIZES = [
    (4, 16, 32, 32, 16, 3, 3, 1, 1),
    (19, 64, 8, 8, 64, 3, 3, 1, 1),
    (3, 9, 5, 8, 24, 3, 3, 1, 0),
    (2, 16, 6, 3, 33, 3, 3, 1, 2),
    (2, 70, 9, 5, 140, 3, 3, 1, 1),
    (2, 512, 7, 7, 160, 3, 3, 1, 1),
    (4, 16, 9, 12, 32, 3, 3, 2, 1),
    (3, 5, 7, 7, 9, 1, 1, 1, 0),
]


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


def trained(stride, padding):
    cell = float_conv2d(stride, padding, native=True)
    cell.set_train()
    return cell


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_forward_pass_and_gradients(size, mode):
    x, w, gy = oracle.sample(*size)
    found = oracle.run(trained(*size[7:]), (x, w), gy)
    for array, expected in zip(found, oracle.everything(x, w, gy, *size[7:]), strict=True):
        assert oracle.error(array, expected) < TOLERANCE


@pytest.mark.parametrize("size", [SIZES[0], SIZES[1], SIZES[3]], ids=str)
def test_result_does_not_depend_on_threads(size, threads):
    inputs, results = oracle.sample(*size), []
    for count in (1, 2, 3):
        threads(count)
        results.append(oracle.run(trained(*size[7:]), inputs[:2], inputs[2]))
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


def test_evaluation_keeps_the_more_exact_squares():
    x, w, _ = oracle.sample(2, 128, 16, 16, 128, 3, 3, 1, 1)
    cell, expected = float_conv2d(1, 1, native=True), oracle.forward(x, w, 1, 1)
    errors = []
    for training in (False, True):
        cell.set_train(training)
        errors.append(oracle.error(cell(Tensor(x), Tensor(w)).asnumpy(), expected))
    assert errors[0] < 1e-6 and errors[0] < errors[1] < TOLERANCE


class BothRead(nn.Cell):
    """A loss of what a forked cell makes of x, and of x."""

    def __init__(self, forked):
        super().__init__()
        self.forked = forked

    def construct(self, x, w, gy, other):
        y, x = self.forked(x, w)
        return (y * gy).sum() + (x * other).sum()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_of_both_readers_are_added(size, mode):
    x, w, gy = oracle.sample(*size)
    other = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    cell = BothRead(NativeForkedConv(trained(*size[7:])))
    found = ops.grad(cell, (0, 1))(*map(Tensor, (x, w, gy, other)))
    expected = [oracle.input_gradient(x, w, gy, *size[7:]) + other, oracle.weight_gradient(x, w, gy, *size[7:])]
    for array, wanted in zip(found, expected, strict=True):
        assert oracle.error(array.asnumpy(), wanted) < TOLERANCE


class BothReadQuantized(nn.Cell):
    """The same of a quantizer, with or without the fork."""

    def __init__(self, quantize, forked):
        super().__init__()
        self.quantize, self.forked = quantize, forked

    def construct(self, x, bits, clip, probe, gy, other):
        if self.forked is None:
            y = self.quantize(x, bits, clip, probe)
        else:
            y, x = self.forked(x, bits, clip, probe)
        return (y * gy).sum() + (x * other).sum()


def test_gradients_of_a_quantizer_and_another_reader_are_added():
    rng = np.random.default_rng(2)
    x, gy, other = (rng.normal(1, 2, (3, 5, 7, 9)).astype(np.float32) for _ in range(3))
    given = [x, np.array([0, 1, 2, 4, 8], np.int32), np.full(1, 2.5, np.float32), np.zeros(5, np.float32), gy, other]
    quantize, results = UniformQuantize(native=True), []
    for forked in (None, NativeForkedUniform(quantize)):
        for name in ("graph", "pynative"):
            with execution_mode(name):
                gradients = ops.grad(BothReadQuantized(quantize, forked), (0, 2, 3))(*map(Tensor, given))
                results.append([gradient.asnumpy() for gradient in gradients])
    for found in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], found, strict=True))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_functions_write_every_value(size, library):
    """On outputs of NaN, so that a value they leave out is found."""
    x, w, gy = oracle.sample(*size)
    geometry = np.array(size[7:], np.int32)
    y = adder_oracle.call(library, "ConvForwardTrain", [x, w, geometry], np.full(gy.shape, np.nan, np.float32))
    assert oracle.error(y, oracle.forward(x, w, *size[7:])) < TOLERANCE
    inputs = [x, w, gy, x, geometry]
    gx = adder_oracle.call(library, "ConvGradInputAdd", inputs, np.full(x.shape, np.nan, np.float32))
    assert oracle.error(gx, oracle.input_gradient(x, w, gy, *size[7:]) + x) < TOLERANCE
