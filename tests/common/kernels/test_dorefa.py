"""DoReFa's weight quantizer and its gradient against float64 NumPy and PyTorch, and what it must hold."""

import conv_oracle
import numpy as np
import pytest
from fake_quant_calls import KINDS, needs_compiler
from mindspore import Tensor

from common.kernels import build
from common.kernels.dorefa import DoReFaQuantize
from common.runtime.context import execution_mode

TOLERANCE = 1e-5  # sums of 4,097 float32 terms at most
BITS = [*range(1, 17), 32]
LARGEST = 0.9  # tanh of the largest weight


def quantized(w, bits):
    """The equations in float64."""
    if bits == 32:
        return w.astype(np.float64)
    t, steps = np.tanh(w.astype(np.float64)), 2**bits - 1
    return 2 * np.rint(steps * (t / (2 * max(np.abs(t).max(), 1e-12)) + 0.5)) / steps - 1


def gradient(w, bits, gy):
    """The rounding left out: the chain rule through t / m, where equal largest weights share the gradient of m."""
    gy = gy.astype(np.float64)
    if bits == 32:
        return gy
    t, largest = np.tanh(w.astype(np.float64)), np.abs(w) == np.abs(w).max()
    m = max(np.abs(t).max(), 1e-12)
    of_m = -(gy * t).sum() / m**2 / largest.sum()
    return gy * (1 - t**2) / m + largest * np.sign(w) * of_m * (1 - m**2)


def sample(shape, bits, sign=1, ties=1):
    """Weights up to 0.4 of a step beside a level and gradients for them; ``ties`` share the largest |w|."""
    rng, steps = np.random.default_rng(bits), 2.0 ** min(bits, 16) - 1
    codes = rng.integers(0, steps + 1, shape) + rng.uniform(-0.4, 0.4, shape)
    w = np.arctanh(LARGEST * (2 * np.clip(codes / steps, 0.001, 0.999) - 1)).astype(np.float32)
    flat = w.ravel()
    flat[rng.permutation(flat.size)[:ties]] = sign * np.float32(np.arctanh(LARGEST)) * (-1) ** np.arange(ties)
    return flat.reshape(shape), rng.normal(0, 1, shape).astype(np.float32)


def run(w, bits, gy=None, native=None):
    """Output; with ``gy`` also the gradient for w."""
    needs_compiler(native)
    cell, inputs = DoReFaQuantize(native), (w, np.array([bits], np.int32))
    if gy is None:
        return cell(*map(Tensor, inputs)).asnumpy()
    y, gw, gbits = conv_oracle.run(cell, inputs, gy)
    assert not gbits.any()
    return y, gw


def check(found, w, bits, gy):
    assert conv_oracle.error(found[0], quantized(w, bits)) < 1e-6
    assert conv_oracle.error(found[1], gradient(w, bits, gy)) < TOLERANCE


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize(
    ("shape", "sign", "ties"),
    [((4097,), 1, 1), ((4096,), -1, 1), ((3 * 4096 + 1,), 1, 3), ((8, 4, 3, 3), -1, 2), ((2, 1), 1, 1)],
    ids=str,
)
def test_any_size(shape, sign, ties, native):
    with execution_mode("pynative"):
        for bits in (1, 3, 8):
            w, gy = sample(shape, bits, sign, ties)
            check(run(w, bits, gy, native), w, bits, gy)


@pytest.mark.parametrize("native", KINDS)
def test_any_bits(native):
    with execution_mode("pynative"):
        for bits in BITS:
            w, gy = sample((17, 5), bits, sign=-1, ties=2)
            found = run(w, bits, gy, native)
            check(found, w, bits, gy)
            assert bits < 32 or (np.array_equal(found[0], w) and np.array_equal(found[1], gy))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize(
    "w", [[0.7], [-3.0], [0.0], [0.0] * 5, [0.4] * 7, [-0.4] * 3, [0.3, -0.3], [20.0, -20, 1]], ids=str
)
def test_weights_without_spread(w, native):
    """One, equal, all 0 (then half of the levels, as ties go to the even code), and far where tanh is flat."""
    w = np.array(w, np.float32)
    gy = np.random.default_rng(0).normal(0, 1, w.shape).astype(np.float32)
    with execution_mode("pynative"):
        for bits in (2, 5, 32):
            check(run(w, bits, gy, native), w, bits, gy)


@pytest.mark.parametrize("native", KINDS)
def test_in_graph_mode(native):
    for bits, ties in ((4, 2), (32, 1)):
        w, gy = sample((8, 4, 3, 3), bits, ties=ties)
        with execution_mode("graph"):
            check(run(w, bits, gy, native), w, bits, gy)


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("ties", [1, 2, 5])
def test_gradient_is_that_of_pytorch(ties, native):
    torch = pytest.importorskip("torch")
    w, gy = sample((6, 5, 3, 3), 3, sign=-1, ties=ties)
    own = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    t = torch.tanh(own)
    unit = 7 * (t / (2 * t.abs().max()) + 0.5)
    y = 2 * (unit + (unit.round() - unit).detach()) / 7 - 1
    y.backward(torch.tensor(gy, dtype=torch.float64))
    with execution_mode("pynative"):
        found = run(w, 3, gy, native)
    assert conv_oracle.error(found[0], y.detach().numpy()) < 1e-6
    assert conv_oracle.error(found[1], own.grad.numpy()) < TOLERANCE


@pytest.mark.parametrize("native", KINDS)
def test_by_hand(native, mode):
    """tanh 0, 0.2, -0.4, 0.4 on the levels -1, -1/3, 1/3, 1: codes of 1.5 (even: 2), 2.25, 0 and 3."""
    w = np.arctanh(np.array([0, 0.2, -0.4, 0.4])).astype(np.float32)
    w[3] = -w[2]
    y, gw = run(w, 2, np.array([1, 2, 4, 8], np.float32), native)
    np.testing.assert_allclose(y, [1 / 3, 1 / 3, -1, 1], rtol=1e-6)
    shared = -(2 * 0.2 - 4 * 0.4 + 8 * 0.4) / 0.16 * 0.84 / 2
    np.testing.assert_allclose(gw, [2.5, 2 * 0.96 / 0.4, 4 * 2.1 - shared, 8 * 2.1 + shared], rtol=1e-5)


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_what_a_quantizer_must_hold(bits, native):
    w = np.linspace(-2, 2, 20_001, dtype=np.float32)
    with execution_mode("pynative"):
        y = run(w, bits, native=native)
    assert (np.diff(y) >= 0).all() and (y[0], y[-1]) == (-1, 1)
    levels = np.unique(y)
    np.testing.assert_allclose(levels, np.linspace(-1, 1, 2**bits), rtol=0, atol=1e-6)
    assert np.abs(y - np.tanh(w) / np.tanh(2)).max() <= 1 / (2**bits - 1) + 1e-6


def test_native_and_fallback_give_the_same_values(mode):
    for bits in (2, 4, 7):
        w, gy = sample((16, 9), bits, ties=2)
        native, fallback = (run(w, bits, gy, kind) for kind in (True, False))
        assert np.array_equal(native[0], fallback[0])
        assert conv_oracle.error(native[1], fallback[1]) < TOLERANCE


def test_result_does_not_depend_on_threads(library, threads):
    w, gy = sample((5 * 4096 + 7,), 4, ties=9)
    results = []
    with execution_mode("pynative"):
        for count in (1, 2, 3):
            threads(count)
            results.append(run(w, 4, gy, True))
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


def test_demanding_native_where_there_is_none(monkeypatch):
    monkeypatch.setattr(build, "library", lambda: None)
    with pytest.raises(build.BuildError, match="demanded"):
        DoReFaQuantize(native=True)
    assert not DoReFaQuantize().native
