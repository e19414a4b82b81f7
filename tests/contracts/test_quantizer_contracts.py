"""What every quantizer promises, whichever method it belongs to."""

import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, ops
from quantizers import ACTIVATIONS, CLIP, SHAPE, WEIGHTS, named, set_bits

from common.runtime.context import execution_mode

EACH_WEIGHT = pytest.mark.parametrize("case", WEIGHTS, ids=lambda case: case.name)
EACH_ACTIVATION = pytest.mark.parametrize("case", ACTIVATIONS, ids=lambda case: case.name)


def weights(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, SHAPE).astype(np.float32)


def activations(seed: int = 0, shape=(3, 4, 5, 5)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.5 * CLIP, 1.5 * CLIP, shape).astype(np.float32)


@EACH_WEIGHT
def test_integers_are_the_weights_that_the_network_computes_with(case, mode):
    w = weights()
    integers = case.integers(w)
    assert integers.codes.shape == w.shape and (integers.bits == case.bits).all()
    np.testing.assert_array_equal(integers.dequantize(), case.values(w))


@EACH_WEIGHT
def test_weights_are_those_of_numpy(case, mode):
    w = weights(1)
    np.testing.assert_allclose(case.values(w), case.reference(w), rtol=2e-6, atol=2e-6 * np.abs(w).max())


@EACH_WEIGHT
def test_a_channel_has_at_most_as_many_levels_as_its_bits_say(case, pynative):
    w = np.random.default_rng(2).normal(0, 0.3, (2, 64, 3, 3)).astype(np.float32)
    for row in case.values(w):
        assert len(np.unique(row)) <= 2**case.bits


@EACH_WEIGHT
def test_larger_weights_never_get_lower_levels(case, pynative):
    w = weights(3)
    for row, quantized in zip(w.reshape(len(w), -1), case.values(w).reshape(len(w), -1)):
        if case.name.startswith("AdderQuant"):  # negative weights stand for 0 and a constant
            row, quantized = row[row > 0], quantized[row > 0]
        assert (np.diff(quantized[np.argsort(row, kind="stable")]) >= 0).all()


@EACH_ACTIVATION
@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_activations_are_those_of_numpy(case, bits, mode):
    x = activations()
    quantized = named(case.make(bits))(Tensor(x)).asnumpy()
    np.testing.assert_allclose(quantized, case.reference(x, bits), rtol=0, atol=CLIP / (2**bits - 1) * 1e-3 + 1e-6)


@EACH_ACTIVATION
@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_levels_of_activations_are_fixed_points_on_their_grid(case, bits, pynative):
    cell = named(case.make(bits))
    once = cell(Tensor(activations(1, (8, 4, 9, 9)))).asnumpy()
    np.testing.assert_array_equal(cell(Tensor(once)).asnumpy(), once)
    assert len(np.unique(once)) <= 2**bits
    grid = cell.grid()
    assert (grid.bits == bits).all() and grid.signed == case.signed and grid.clip.dtype == np.float32
    steps = 2**bits - 1
    numbers = (once.astype(np.float64) / grid.clip * steps + (steps if case.signed else 0)) / (2 if case.signed else 1)
    np.testing.assert_allclose(numbers, np.rint(numbers), rtol=0, atol=1e-3)
    assert numbers.min() > -0.5 and numbers.max() < steps + 0.5


@EACH_ACTIVATION
def test_a_grid_gives_the_quantizer_its_parameters_back(case, pynative):
    cell = named(case.make(3))
    values = cell.parameters_of(cell.grid())
    for name, value in values.items():
        np.testing.assert_array_equal(value, dict(cell.parameters_and_names())[name].asnumpy())
    assert set(values) == {"bits", "clip"}


@EACH_ACTIVATION
def test_gradients_pass_straight_through_inside_the_clip_alone(case, mode):
    x, gy = activations(2), np.random.default_rng(3).normal(0, 1, (3, 4, 5, 5)).astype(np.float32)
    cell = named(case.make(4))

    def product(x, gy):
        return (cell(x) * gy).sum()

    grad_x, (grad_clip,) = ops.grad(product, 0, ParameterTuple([case.clip(cell)]))(Tensor(x), Tensor(gy))
    low = -CLIP if case.signed else 0
    np.testing.assert_allclose(grad_x.asnumpy(), gy * ((x >= low) & (x <= CLIP)), rtol=1e-6, atol=1e-6)
    assert np.isfinite(grad_clip.asnumpy()).all() and grad_clip.asnumpy()[0] != 0


@EACH_ACTIVATION
def test_bits_change_in_a_compiled_cell_without_compiling_it_again(case):
    x, cell = activations(4), named(case.make(8))
    with execution_mode("graph"):
        for bits in (8, 2, 5):
            compiled = set_bits(cell, bits)(Tensor(x)).asnumpy()
            np.testing.assert_allclose(compiled, case.reference(x, bits), rtol=0, atol=CLIP * 1e-3)
    assert len(cell.compile_cache) == 1
