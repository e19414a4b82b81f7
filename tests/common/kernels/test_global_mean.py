"""Means of planes and their gradient, against float64 NumPy."""

import numpy as np
import pytest
from mindspore import Tensor, ops

from common.kernels import native_available
from common.kernels.global_mean import GlobalMean

SHAPES = [(1, 1, 1, 1), (3, 5, 7, 7), (2, 17, 8, 8), (5, 2, 33, 31), (2, 3, 1, 129)]


@pytest.fixture(params=[True, False], ids=["native", "mindspore"])
def cell(request):
    if request.param and not native_available():
        pytest.skip("needs a C++ compiler")
    return lambda: GlobalMean(native=request.param)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients(shape, cell, mode):
    rng = np.random.default_rng(0)
    x, gy = rng.normal(0.5, 1, shape).astype(np.float32), rng.normal(0, 1, shape[:2]).astype(np.float32)
    mean = cell()
    y = mean(Tensor(x)).asnumpy()
    gradient = ops.GradOperation(sens_param=True)(mean)(Tensor(x), Tensor(gy)).asnumpy()
    assert y.shape == shape[:2] and gradient.shape == shape
    np.testing.assert_allclose(y, x.astype(np.float64).mean((2, 3)), rtol=2e-6, atol=1e-6)
    expected = np.broadcast_to(gy[:, :, None, None] / (shape[2] * shape[3]), shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_bits_do_not_depend_on_threads(threads, cell):
    x = Tensor(np.random.default_rng(0).normal(0, 1, (17, 7, 9, 13)).astype(np.float32))
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(cell()(x).asnumpy())
    assert all(np.array_equal(results[0], other) for other in results[1:])
