"""Pruned weights that stay 0: the kernel and MindSpore's operators against NumPy, values and gradients."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.kernels import native_available
from common.quant.zeros import KeptZeros, keep_zeros, kept

KINDS = pytest.mark.parametrize("native", [True, False], ids=["native", "mindspore"])


class Weighted(nn.Cell):
    """A sum whose gradient for the cell's output is given."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, weight, values, lowest, keeps, gy):
        return (self.cell(weight, values, lowest, keeps) * gy).sum()


def sample(pruned, dead):
    rng = np.random.default_rng(3)
    weight, values, gy = (rng.normal(0, 1, (5, 3, 3, 3)).astype(np.float32) for _ in range(3))
    if pruned:
        weight[rng.random(weight.shape) < 0.3] = 0
    if dead:
        weight[2] *= 2.0**-12
    return weight, values, gy


def row(values):
    """Of each row or of all, as a factor of weights."""
    return np.broadcast_to(values, 5).reshape(5, 1, 1, 1)


@KINDS
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("pruned", "dead"), [(False, False), (True, False), (False, True), (True, True)])
def test_values_and_gradients(native, shared, pruned, dead, mode):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    weight, values, gy = sample(pruned, dead)
    lowest = np.float32(-0.3) if shared else np.linspace(-0.5, 0.1, 5).astype(np.float32)
    keeps = np.ones(1, np.int32) if shared else np.array([1, 0, 1, 1, 0], np.int32)
    inputs = weight, values, np.atleast_1d(lowest), keeps
    cell = KeptZeros(shared, native)
    found = cell(*map(Tensor, inputs)).asnumpy()
    gradients = ops.grad(Weighted(cell), (0, 1))(*map(Tensor, (*inputs, gy)))
    expected = np.where(row(keeps) > 0, keep_zeros(weight, values, row(lowest), shared), values)
    assert np.array_equal(found, expected)
    assert not gradients[0].asnumpy().any()
    passed = kept(weight, shared) | (row(keeps) == 0)
    assert np.array_equal(gradients[1].asnumpy(), np.where(passed, gy, 0))
