"""The float adder convolution and its gradients against the published formulas and float64 NumPy."""

import adder_oracle as oracle
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mindspore import Tensor, nn, ops

from common.kernels import AdderConv2d, build, native_available
from common.kernels.adder import ForkedAdderConv2d
from common.runtime.context import execution_mode

# float32 sums of at most 1,000 terms: errors of 1e-6 of the largest value are seen.
TOLERANCE = 1e-5
KINDS = [pytest.param(True, id="native"), pytest.param(False, id="fallback")]


def close(found, expected):
    return np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())


def run(x, w, gy, stride, padding, native=None):
    """Output, gradient for x, gradient for w."""
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    cell = AdderConv2d(stride, padding, native)
    x, w, gy = Tensor(x), Tensor(w), Tensor(gy)
    y = cell(x, w)
    gradients = ops.GradOperation(get_all=True, sens_param=True)(cell)(x, w, gy)
    return [t.asnumpy() for t in (y, *gradients)]


def sample(n, c, h, w, f, kh, kw, stride, padding, seed=0):
    """Inputs, weights and output gradients whose differences lie on both sides of +-1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, (n, c, h, w)).astype(np.float32)
    weight = rng.normal(0, 2, (f, c, kh, kw)).astype(np.float32)
    gy = rng.normal(0, 1, (n, f, *oracle.output_shape(x, weight, stride, padding))).astype(np.float32)
    return x, weight, gy


def check(found, x, w, gy, stride, padding):
    assert close(found[0], oracle.forward(x, w, stride, padding))
    assert close(found[1], oracle.input_gradient(x, w, gy, stride, padding))
    assert close(found[2], oracle.rescaled(oracle.weight_gradient(x, w, gy, stride, padding)))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("case", range(3))
def test_golden(shared, case, native, mode):
    golden = np.load(shared / "golden" / "adder2d.npz")
    x, w, gy, *expected = (golden[f"case{case}_{name}"] for name in ("x", "w", "gy", "y", "gx", "gw"))
    found = run(x, w, gy, *map(int, golden[f"case{case}_stride_pad"]), native)
    assert all(close(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("size", oracle.SIZES, ids=str)
def test_native_sizes(size, mode):
    x, w, gy = sample(*size)
    check(run(x, w, gy, *size[7:], native=True), x, w, gy, *size[7:])


@pytest.mark.parametrize("size", oracle.SIZES, ids=str)
def test_fallback_sizes(size):
    x, w, gy = sample(*size)
    with execution_mode("pynative"):
        check(run(x, w, gy, *size[7:], native=False), x, w, gy, *size[7:])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.sampled_from([1, 2, 3, 17, 33]),
    c=st.sampled_from([1, 3, 4, 5, 17]),
    f=st.sampled_from([1, 4, 5, 16]),
    h=st.integers(1, 11),
    w=st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_native_operators_at_any_size(n, c, f, h, w, kernel, stride, padding):
    """The C++ functions themselves, without the compilation of a graph for each size."""
    assume(h + 2 * padding >= kernel[0] and w + 2 * padding >= kernel[1])
    if not native_available():
        pytest.skip("needs a C++ compiler")
    x, weight, gy = sample(n, c, h, w, f, *kernel, stride, padding)
    assert close(
        native("AdderForward", gy.shape, x, weight, stride, padding), oracle.forward(x, weight, stride, padding)
    )
    geometry = (stride, padding)
    expected = oracle.input_gradient(x, weight, gy, *geometry)
    assert close(native("AdderGradInput", x.shape, x, weight, *geometry, gy), expected)
    expected = oracle.weight_gradient(x, weight, gy, *geometry)
    assert close(native("AdderGradWeight", weight.shape, x, weight, *geometry, gy), expected)


def native(function, shape, x, w, stride, padding, *gy):
    """Call an operator on an output of NaN, so that a value it leaves out is found."""
    inputs = [x, w, *gy, np.array([stride, padding], np.int32)]
    return oracle.call(build.library()[0], function, inputs, np.full(shape, np.nan, np.float32))


@pytest.mark.parametrize("native", KINDS)
def test_input_gradient_is_clipped_and_weight_gradient_is_not(native, mode):
    """One pixel, one filter of zeros: gradients by hand from equations (6), (7) and (5), (12)."""
    x = np.array([3, -4, 0.5, 1, -1, 0, 1.5], np.float32)
    shape = (1, 7, 1, 1)
    found = run(x.reshape(shape), np.zeros(shape, np.float32), np.full((1, 1, 1, 1), 2, np.float32), 1, 0, native)
    assert found[0].item() == -11
    assert found[1].ravel().tolist() == [-2, 2, -1, -2, 2, 0, -2]
    assert found[2].ravel() == pytest.approx(x * (np.sqrt(7) / 5 / np.linalg.norm(x)), rel=1e-6)
    assert np.linalg.norm(found[2]) == pytest.approx(np.sqrt(7) / 5, rel=1e-6)


@pytest.mark.parametrize("native", KINDS)
def test_no_gradient_stays_no_gradient(native):
    x, w, gy = sample(2, 3, 5, 5, 4, 3, 3, 1, 1)
    with execution_mode("pynative"):
        _, gx, gw = run(x, w, np.zeros_like(gy), 1, 1, native)
    assert not gx.any() and not gw.any()


class BothRead(nn.Cell):
    """A loss of what a forked convolution makes of x, and of x."""

    def __init__(self, stride, padding):
        super().__init__()
        self.forked = ForkedAdderConv2d(AdderConv2d(stride, padding, native=True))

    def construct(self, x, w, gy, other):
        y, x = self.forked(x, w)
        return (y * gy).sum() + (x * other).sum()


@pytest.mark.parametrize("size", oracle.SIZES[1:6], ids=str)
def test_gradients_of_both_readers_are_added(size, library, mode):
    x, w, gy = sample(*size)
    other = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    gx, gw = ops.grad(BothRead(*size[7:]), (0, 1))(*map(Tensor, (x, w, gy, other)))
    assert close(gx.asnumpy(), oracle.input_gradient(x, w, gy, *size[7:]) + other)
    assert close(gw.asnumpy(), oracle.rescaled(oracle.weight_gradient(x, w, gy, *size[7:])))


def test_native_and_fallback_agree_in_graph_mode():
    x, w, gy = sample(3, 5, 7, 9, 5, 3, 3, 2, 1, seed=1)
    with execution_mode("graph"):
        both = [run(x, w, gy, 2, 1, native) for native in (True, False)]
    assert all(close(a, b) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("size", [(17, 5, 9, 9, 5, 3, 3, 1, 1), (3, 17, 8, 33, 16, 3, 3, 2, 1)], ids=str)
@pytest.mark.parametrize("rectified", [False, True])
def test_result_does_not_depend_on_threads(size, rectified, library, threads, mode):
    x, w, gy = sample(*size)
    x = np.maximum(x, 0) if rectified else x
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(run(x, w, gy, *size[7:], native=True))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_views_are_read_in_their_own_order(library):
    """PyNative slices and transposes are views; the operator must not see the memory behind them."""
    x, w, _ = sample(2, 6, 5, 9, 4, 3, 3, 1, 1)
    with execution_mode("pynative"):
        views = Tensor(x)[:, ::2], Tensor(w)[:, 1::2]
        found = AdderConv2d(1, 1, native=True)(*views).asnumpy()
        assert close(found, oracle.forward(x[:, ::2], w[:, 1::2], 1, 1))
        turned = ops.transpose(Tensor(x), (0, 1, 3, 2))
        assert close(AdderConv2d(1, 1, True)(turned, Tensor(w)).asnumpy(), oracle.forward(x.swapaxes(2, 3), w, 1, 1))


def test_demanding_native_where_there_is_none(monkeypatch):
    monkeypatch.setattr(build, "library", lambda: None)
    with pytest.raises(build.BuildError, match="demanded"):
        AdderConv2d(native=True)
    assert not AdderConv2d().native
