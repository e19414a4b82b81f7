"""DoReFa weights as a cell: the reference's values, scale, bits as a parameter."""

import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from common.checkpoint import network_state
from common.errors import ConfigError
from common.kernels import native_available
from common.quant.dorefa import DoReFaWeight, check_bits, dorefa
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantDense
from common.runtime.context import execution_mode


@pytest.fixture(params=[True, False], ids=["native", "fallback"])
def native(request):
    if request.param and not native_available():
        pytest.skip("needs a C++ compiler")
    return request.param


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "proqha_quantizers.npz")


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, shape).astype(np.float32)


def set_bits(cell, bits):
    cell.bits.set_data(Tensor(np.array([bits], np.int32)))
    return cell


def test_values_are_those_of_the_reference(golden, mode, native):
    cell = DoReFaWeight(native=native)
    for bits in (2, 3, 4, 5, 8, 32):
        np.testing.assert_array_equal(set_bits(cell, bits)(Tensor(golden["w"])).asnumpy(), golden[f"w_q{bits}"])


def test_the_function_on_arrays_is_the_reference_too(golden):
    for bits in (2, 3, 4, 5, 8):
        np.testing.assert_array_equal(dorefa(golden["w"], bits), golden[f"w_q{bits}"])
    assert dorefa(np.zeros((2, 3), np.float32), 2) == pytest.approx(1 / 3)
    assert dorefa(golden["w"].astype(np.float64), 3).dtype == np.float32


def test_bits_change_in_a_compiled_cell_without_compiling_it_again():
    w, cell = weights(4, 5), DoReFaWeight(8)
    with execution_mode("graph"):
        for bits in (8, 2, 5, 3):
            np.testing.assert_array_equal(set_bits(cell, bits)(Tensor(w)).asnumpy(), dorefa(w, bits))
    assert len(cell.compile_cache) == 1


@pytest.mark.parametrize("scale", [0.02, 1, 5])
def test_the_scale_is_the_least_squares_fit(scale):
    w, cell = weights(7, 9, seed=3) * np.float32(scale), DoReFaWeight(4)
    cell.fit(w)
    levels = dorefa(w, 8).astype(np.float64)
    assert cell.scale.asnumpy().dtype == np.float32
    assert cell.scale.asnumpy()[0] == pytest.approx(np.linalg.lstsq(levels.reshape(-1, 1), w.ravel(), rcond=None)[0][0])
    np.testing.assert_allclose(cell(Tensor(w)).asnumpy(), cell.scale.asnumpy()[0] * dorefa(w, 4), rtol=1e-6)


def test_the_scale_of_weights_of_nothing_is_one_not_nan():
    cell = DoReFaWeight()
    cell.fit(np.zeros((3, 2), np.float32))
    assert cell.scale.asnumpy().tolist() == [1.0]


def test_only_weights_are_trained_and_get_the_gradient_times_the_scale(mode):
    w = weights(3, 8)
    cell = DoReFaWeight(3)
    cell.fit(w)
    layer = QuantDense(nn.Dense(8, 3, Tensor(w), has_bias=False), cell, None)
    for name, parameter in layer.parameters_and_names():
        parameter.name = name
    assert [p.name for p in layer.trainable_params()] == ["weight"]

    def total(x):
        return layer(x).sum()

    found = ops.grad(total, None, ParameterTuple([layer.weight]))(Tensor(np.ones((1, 8), np.float32)))
    t = np.tanh(w.astype(np.float64))
    m, largest = np.abs(t).max(), np.abs(t) == np.abs(t).max()
    expected = (1 - t**2) / m - largest * np.sign(w) * t.sum() / m**2 * (1 - m**2)
    np.testing.assert_allclose(found[0].asnumpy(), cell.scale.asnumpy()[0] * expected, rtol=1e-4, atol=1e-6)


def test_frozen_weights_pass_and_know_their_bits(mode):
    w, cell = weights(4, 4), FrozenWeight()
    np.testing.assert_array_equal(cell(Tensor(w)).asnumpy(), w)
    assert not cell.trainable_params() and set(network_state.state(cell)) == {"bits"}
    assert set(network_state.state(DoReFaWeight())) == {"bits", "scale"}


@pytest.mark.parametrize("bits", [1, 9, 0, -3, 32])
def test_other_bits_are_refused(bits):
    for make in (DoReFaWeight, check_bits):
        with pytest.raises(ConfigError, match=f"expected 2 to 8 bits, found {bits}"):
            make(bits)
