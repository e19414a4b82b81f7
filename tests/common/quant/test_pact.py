"""PACT activations: the reference's values, gradients against NumPy and PyTorch, levels, bits as a parameter."""

import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from common.errors import ConfigError
from common.kernels import native_available
from common.quant.pact import PACTActivation, pact
from common.runtime.context import execution_mode

CLIP = np.float32(2.7)
SIGNED = pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])


@pytest.fixture(params=[True, False], ids=["native", "fallback"])
def native(request):
    if request.param and not native_available():
        pytest.skip("needs a C++ compiler")
    return request.param


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "proqha_quantizers.npz")


def make(bits, clip, **options):
    cell = PACTActivation(bits, float(clip), **options)
    for name, parameter in cell.parameters_and_names():
        parameter.name = name
    return cell


def gradients(cell, x, gy):
    """Output, gradient for x, gradient for the clip."""

    def product(x, gy):
        return (cell(x) * gy).sum()

    grad_x, (grad_clip,) = ops.grad(product, 0, ParameterTuple([cell.clip]))(Tensor(x), Tensor(gy))
    return cell(Tensor(x)).asnumpy(), grad_x.asnumpy(), grad_clip.asnumpy()


def expected(x, bits, clip, signed, gy):
    """The equations in float64; where |x| is the clip itself the tests look separately."""
    x, gy, clip, steps = x.astype(np.float64), gy.astype(np.float64), float(clip), 2**bits - 1
    low = -clip if signed else 0.0
    y = np.rint((np.clip(x, low, clip) - low) / (clip - low) * steps) / steps * (clip - low) + low
    of_clip = (x > clip) * 1.0 - ((x < -clip) if signed else 0)
    return y, gy * ((x >= low) & (x <= clip)), (gy * of_clip).sum(keepdims=True).reshape(1)


def sample(shape, bits, clip, signed, seed=0):
    """Values up to 0.4 of a step beside a level, and beyond both ends."""
    rng, steps = np.random.default_rng(seed), 2**bits - 1
    unit = (rng.integers(-2, steps + 3, shape) + rng.uniform(-0.4, 0.4, shape)) / steps
    x = clip * (2 * unit - 1) if signed else clip * unit
    return x.astype(np.float32), rng.normal(0, 1, shape).astype(np.float32)


def test_values_are_those_of_the_reference(golden, mode, native):
    cell = make(8, 10, native=native)
    for bits in (2, 3, 4, 8):
        cell.bits.set_data(Tensor(np.array([bits], np.int32)))
        np.testing.assert_allclose(cell(Tensor(golden["x"])).asnumpy(), golden[f"x_q{bits}"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(pact(golden["x"], bits, 10.0), golden[f"x_q{bits}"], rtol=0, atol=1e-6)


@SIGNED
@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_values_and_gradients_against_numpy(bits, signed, native):
    with execution_mode("pynative"):
        for shape in ((3, 4, 5, 6), (7, 9), (1, 1)):
            x, gy = sample(shape, bits, CLIP, signed)
            found = gradients(make(bits, CLIP, signed=signed, native=native), x, gy)
            for value, wanted in zip(found, expected(x, bits, CLIP, signed, gy), strict=True):
                np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=2e-5)


@SIGNED
def test_values_and_gradients_in_graph_mode(signed, native):
    x, gy = sample((3, 4, 5, 6), 3, CLIP, signed)
    with execution_mode("graph"):
        found = gradients(make(3, CLIP, signed=signed, native=native), x, gy)
    for value, wanted in zip(found, expected(x, 3, CLIP, signed, gy), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=2e-5)


@SIGNED
def test_gradients_are_those_of_pytorch(signed):
    """PACT as its authors wrote it: alpha / 2 from (|x| - |x - alpha| + alpha) / 2, straight through the rounding."""
    torch = pytest.importorskip("torch")
    x, gy = sample((5, 6, 7, 7), 4, CLIP, signed)
    values, clip = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, CLIP))
    unsigned = (values + clip) / 2 if signed else values
    clipped = 0.5 * (unsigned.abs() - (unsigned - clip).abs() + clip)
    rounded = torch.round(clipped * 15 / clip) * clip / 15
    y = clipped + (rounded - clipped).detach()
    y = 2 * y - clip if signed else y
    y.backward(torch.tensor(gy, dtype=torch.float64))
    with execution_mode("pynative"):
        found = gradients(make(4, CLIP, signed=signed), x, gy)
    for value, wanted in zip(found, (y.detach(), values.grad, clip.grad.reshape(1)), strict=True):
        np.testing.assert_allclose(value, wanted.numpy(), rtol=1e-5, atol=2e-5)


def test_gradients_at_the_ends_by_hand(mode, native):
    x = np.array([[-1, 0, 1.4, 3, 4]], np.float32)
    y, gx, gclip = gradients(make(2, 3, native=native), x, np.array([[1, 2, 4, 8, 16]], np.float32))
    assert y.tolist() == [[0, 0, 1, 3, 3]] and gx.tolist() == [[0, 2, 4, 8, 0]] and gclip.tolist() == [24]


@SIGNED
@pytest.mark.parametrize("bits", range(2, 9))
def test_what_a_quantizer_must_hold(bits, signed):
    low, steps = -CLIP if signed else 0, 2**bits - 1
    levels = np.linspace(low, CLIP, steps + 1)
    x = np.sort(np.concatenate((levels, np.linspace(-1.5, 1.5, 10_001) * CLIP))).astype(np.float32)[None]
    with execution_mode("pynative"):
        cell = make(bits, CLIP, signed=signed)
        y = cell(Tensor(x)).asnumpy()
        again = cell(Tensor(y)).asnumpy()
    step = (CLIP - low) / steps
    np.testing.assert_allclose(np.unique(np.rint((y - low) / step)), np.arange(steps + 1))
    assert len(np.unique(y)) == 2**bits and (np.diff(y) >= 0).all()
    np.testing.assert_allclose(again, y, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.unique(y), levels, rtol=0, atol=1e-6)
    inside = (x >= low) & (x <= CLIP)
    assert np.abs(x - y)[inside].max() <= step / 2 + 1e-6
    np.testing.assert_allclose(pact(x, bits, CLIP, signed), y, rtol=0, atol=1e-6)


@SIGNED
def test_bits_and_clip_change_in_a_compiled_cell_without_compiling_it_again(signed):
    x, _ = sample((3, 4, 5, 6), 2, CLIP, signed)
    cell = make(8, CLIP, signed=signed)
    with execution_mode("graph"):
        for bits, clip in ((8, CLIP), (2, CLIP), (5, 1.25), (3, 0.5)):
            cell.bits.set_data(Tensor(np.array([bits], np.int32)))
            cell.clip.set_data(Tensor(np.array([clip], np.float32)))
            np.testing.assert_allclose(cell(Tensor(x)).asnumpy(), pact(x, bits, clip, signed), rtol=0, atol=1e-6)
    assert len(cell.compile_cache) == 1


@pytest.mark.parametrize("clip", [0, -2, 1e-4])
def test_a_clip_of_nothing_gives_finite_values(clip, mode):
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    y, gx, gclip = gradients(make(4, clip), x, np.ones_like(x))
    assert np.isfinite([*y.ravel(), *gx.ravel(), *gclip]).all()
    np.testing.assert_allclose(y, pact(x, 4, clip), rtol=1e-6)
    assert y.min() == 0 and y.max() == pytest.approx(1e-3)


def test_what_is_trained():
    assert [p.name for p in make(4, 1).trainable_params()] == ["clip"]
    assert not make(4, 1, learned=False).trainable_params()
    assert make(4, 1).bits.asnumpy().dtype == np.int32
    assert nn.SequentialCell(PACTActivation()).trainable_params()[0].asnumpy().tolist() == [10]  # the paper's


@pytest.mark.parametrize("bits", [1, 9, 0, 32])
def test_other_bits_are_refused(bits):
    with pytest.raises(ConfigError, match=f"expected 2 to 8 bits, found {bits}"):
        PACTActivation(bits)
