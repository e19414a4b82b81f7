"""SGD with momentum in one operator, against MindSpore's own optimizer and float64 NumPy."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from common.kernels import native_available
from common.kernels.momentum import NativeMomentum

SHAPES = [(1,), (3, 5), (16, 3, 3, 3), (17,), (2, 129), (64, 64, 3, 3)]
RATES = [0.1, 0.05, 0.05, 0.001]
pytestmark = pytest.mark.skipif(not native_available(), reason="needs a C++ compiler")


def parameters():
    rng = np.random.default_rng(0)
    return [Parameter(Tensor(rng.normal(size=s).astype(np.float32)), name=f"p{i}") for i, s in enumerate(SHAPES)]


def descended(optimizer, steps=(0, 1, 2, 3)):
    """Everything that an optimizer has after steps with the gradients of each, by name."""
    for step in steps:
        rng = np.random.default_rng(step + 1)
        optimizer(tuple(Tensor(rng.normal(size=s).astype(np.float32)) for s in SHAPES))
    return {parameter.name: parameter.asnumpy().copy() for parameter in optimizer.get_parameters()}


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 1e-4), (0.0, 0.1), (0.9, 0.0)])
def test_bits_and_state_are_those_of_mindspore(momentum, decay, mode):
    theirs = nn.Momentum([{"params": parameters(), "weight_decay": decay}], RATES, momentum)
    expected, found = descended(theirs), descended(NativeMomentum(parameters(), RATES, momentum, decay))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)


def test_values_are_those_of_the_equation(mode):
    weights = [parameter.asnumpy().astype(float) for parameter in parameters()]
    moments = [0 * weight for weight in weights]
    for step, rate in enumerate(RATES):
        rng = np.random.default_rng(step + 1)
        for k, shape in enumerate(SHAPES):
            moments[k] = 0.9 * moments[k] + rng.normal(size=shape).astype(np.float32) + 0.1 * weights[k]
            weights[k] -= rate * moments[k]
    found = descended(NativeMomentum(parameters(), RATES, 0.9, 0.1))
    for k in range(len(SHAPES)):
        np.testing.assert_allclose(found[f"p{k}"], weights[k], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[f"moments.p{k}"], moments[k], rtol=1e-5, atol=1e-6)


def put_data(parameter, value):
    parameter.set_data(value)


@pytest.mark.parametrize(("steps", "put"), [(0, put_data), (1, ops.assign)], ids=["fresh", "compiled"])
def test_it_goes_on_from_a_state(steps, put, mode):
    """As the trainer does it: a fresh optimizer after a kill, a compiled one for another run."""
    whole = descended(NativeMomentum(parameters(), RATES, 0.9, 0.1))
    state = descended(NativeMomentum(parameters(), RATES, 0.9, 0.1), range(2))
    other = NativeMomentum(parameters(), RATES, 0.9, 0.1)
    descended(other, range(steps))
    for parameter in other.get_parameters():
        put(parameter, Tensor(state[parameter.name]))
    for name, value in descended(other, range(2, 4)).items():
        np.testing.assert_array_equal(value, whole[name], name)


def test_bits_do_not_depend_on_threads(threads):
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(descended(NativeMomentum(parameters(), RATES, 0.9, 0.1)))
    for name, value in results[0].items():
        assert all(np.array_equal(value, other[name]) for other in results[1:]), name
