"""The integer adder convolution against int64 NumPy: every sum exact, in all implementations."""

import adder_oracle as oracle
import numpy as np
import pytest
from mindspore import Tensor

from common.kernels import AdderInt8, build, native_available
from common.runtime.context import execution_mode

KINDS = [pytest.param(True, id="native"), pytest.param(False, id="fallback")]


def sample(n, c, h, w, f, kh, kw, stride, padding, qmax, groups=3):
    """Inputs in and out of the range, many of them on half a step; codes up to qmax; several steps."""
    rng = np.random.default_rng(qmax)
    steps = (rng.uniform(0.01, 0.3, groups)).astype(np.float32)
    steps[0] = 0.125  # exact, so that multiples of half a step are ties
    x = rng.integers(-8, 2 * qmax + 9, (n, c, h, w)).astype(np.float32) * np.float32(0.0625)
    x = np.where(rng.random(x.shape) < 0.5, x, rng.normal(0, qmax * 0.1, x.shape)).astype(np.float32)
    codes = rng.integers(0, qmax + 1, (f, c, kh, kw)).astype(np.uint8)
    return x, codes, rng.integers(0, groups, f).astype(np.uint8), steps


def identity(filters):
    return np.stack((np.ones(filters), np.zeros(filters), np.zeros(filters))).astype(np.float32)


def run(cell, x, codes, group, steps, qmax, affine, residual=None):
    inputs = [x, codes, group, steps, np.array([qmax], np.float32), affine]
    tensors = [Tensor(array) for array in inputs] + ([] if residual is None else [Tensor(residual)])
    return cell(*tensors).asnumpy()


def int8(stride, padding, native, relu=False):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    return AdderInt8(stride, padding, relu, native)


@pytest.mark.parametrize(("size", "qmax"), list(zip(oracle.SIZES, [3, 7, 15, 31, 63, 127, 255, 3, 255])), ids=str)
def test_native_sums_are_exact(size, qmax, mode):
    x, codes, group, steps = sample(*size, qmax)
    found = run(int8(*size[7:], True), x, codes, group, steps, qmax, identity(len(codes)))
    assert np.array_equal(found, oracle.integer_sums(x, codes, group, steps, qmax, *size[7:]))


@pytest.mark.parametrize(("size", "qmax"), list(zip(oracle.SIZES, [255, 63, 15, 7, 3, 255, 31, 127, 3])), ids=str)
def test_fallback_sums_are_exact(size, qmax):
    x, codes, group, steps = sample(*size, qmax)
    with execution_mode("pynative"):
        found = run(int8(*size[7:], False), x, codes, group, steps, qmax, identity(len(codes)))
    assert np.array_equal(found, oracle.integer_sums(x, codes, group, steps, qmax, *size[7:]))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize(("relu", "with_residual"), [(False, True), (True, False), (True, True)])
def test_affine_residual_and_relu(native, relu, with_residual, mode):
    """Multipliers are powers of two, so that no step of the float part rounds and the result is exact, too."""
    x, codes, group, steps = sample(3, 5, 7, 9, 5, 3, 3, 1, 1, 15)
    rng = np.random.default_rng(0)
    factors, offsets = 2.0 ** rng.integers(-4, 1, 5) * [-1, 1, -1, 1, -1], rng.integers(-200, 900, 5)
    affine = np.stack((factors, rng.integers(-200, 200, 5), offsets))
    residual = rng.integers(-300, 300, (3, 5, 7, 9)).astype(np.float32) / 4
    sums = oracle.integer_sums(x, codes, group, steps, 15, 1, 1)
    expected = (sums - affine[2][:, None, None]) * affine[0][:, None, None]
    expected = expected + affine[1][:, None, None] + (residual if with_residual else 0)
    assert (expected < 0).any() and (expected > 0).any()
    given = [x, codes, group, steps, 15, affine.astype(np.float32), residual if with_residual else None]
    found = run(int8(1, 1, native, relu), *given)
    assert np.array_equal(found, np.maximum(expected, 0) if relu else expected)


@pytest.mark.parametrize("native", KINDS)
def test_rounding_and_clipping_by_hand(native, mode):
    """One input, one code of 0: the sum is the quantized input itself."""
    steps_in = [-1e30, -3, -0.5, 0, 0.5, 1.5, 2.5, 3.5, 4.5, 2.499, 2.501, 6.5, 7, 7.5, 8, 1e4, 1e30]
    expected = [0, 0, 0, 0, 0, 2, 2, 4, 4, 2, 3, 6, 7, 7, 7, 7, 7]
    x = (np.array(steps_in) * 0.25).astype(np.float32).reshape(1, 1, 1, -1)
    zero = np.zeros((1, 1, 1, 1), np.uint8)
    found = run(int8(1, 0, native), x, zero, zero.ravel(), np.array([0.25], np.float32), 7, identity(1))
    assert found.ravel().tolist() == expected


@pytest.mark.parametrize("native", KINDS)
def test_one_input_with_many_steps(native):
    """Groups that have no filter, one filter, or the step of another; padding is the code 0, not a weight."""
    group = np.array([4, 0, 2, 4, 0, 3], np.uint8)
    steps = np.array([0.5, 9.0, 0.25, 0.5, 0.125], np.float32)
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4) / 4
    codes = np.full((6, 1, 3, 3), 2, np.uint8)
    with execution_mode("pynative"):
        found = run(int8(1, 1, native), x, codes, group, steps, 255, identity(6))
    assert np.array_equal(found, oracle.integer_sums(x, codes, group, steps, 255, 1, 1))
    assert np.array_equal(found[:, 1], found[:, 5]) and np.array_equal(found[:, 0], found[:, 3])


@pytest.mark.parametrize("native", KINDS)
def test_the_largest_sum_is_exact(native):
    """65,790 differences of 255 come to 2^24 - 766, the edge of what float32 counts."""
    x, codes = np.full((1, 7310, 3, 3), 1e6, np.float32), np.zeros((1, 7310, 3, 3), np.uint8)
    with execution_mode("pynative"):
        found = run(int8(1, 0, native), x, codes, codes[:, 0, 0, 0], np.ones(1, np.float32), 255, identity(1))
    assert found.item() == 65_790 * 255


def test_threads_do_not_matter(threads, library):
    x, codes, group, steps = sample(7, 9, 5, 9, 6, 3, 3, 1, 1, 255)
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(oracle.call_int8(library, x, codes, group, steps, 255, identity(6), 1, 1))
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_name_of_the_instructions(monkeypatch):
    if native_available():
        assert build.sad_instructions() == oracle.text_of(build.library()[0], "SadName")
    monkeypatch.setattr(build, "library", lambda: None)
    assert build.sad_instructions() == "fallback"
