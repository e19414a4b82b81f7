"""Sums of absolute values of many vectors, against float64 NumPy."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor

from common.kernels import native_available
from common.kernels.magnitudes import AddMagnitudes

SIZES = (1, 3, 17, 64, 129)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("native", [True, False], ids=["native", "mindspore"])
def test_sums_of_several_steps(native, together, mode):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    sums = [Parameter(Tensor(np.zeros(size, np.float32)), name=f"s{size}", requires_grad=False) for size in SIZES]
    add, expected = AddMagnitudes(sums, together, native), [np.zeros(size) for size in SIZES]
    rng = np.random.default_rng(0)
    for _ in range(3):
        vectors = [rng.normal(size=size).astype(np.float32) for size in SIZES]
        add(tuple(Tensor(vector) for vector in vectors))
        for k, vector in enumerate(vectors):
            expected[k] += abs(vector.sum(dtype=float)) if together else np.abs(vector)
    for parameter, values in zip(sums, expected):
        np.testing.assert_allclose(parameter.asnumpy(), values, rtol=1e-5, atol=1e-6)
    add.sums[0].set_data(Tensor(np.zeros(1, np.float32)))  # a new sum, as after an allocation
    add(tuple(Tensor(np.full(size, -2, np.float32)) for size in SIZES))
    np.testing.assert_allclose(sums[0].asnumpy(), 2)
