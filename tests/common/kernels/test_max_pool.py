"""Max pooling and its gradient against PyTorch's rule in NumPy and against MindSpore's cell."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.kernels import native_available
from common.kernels.max_pool import NativeMaxPool2d, max_pool

# Shape, kernel, stride, padding.
CASES = [
    ((2, 3, 8, 8), 2, 2, 0),
    ((1, 5, 9, 7), 3, 2, 1),
    ((3, 2, 5, 6), 3, 1, 1),
    ((2, 1, 11, 13), 2, 3, 1),
    ((1, 1, 1, 1), 1, 1, 0),
    ((2, 2, 4, 17), 4, 2, 2),
]


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


def pooled(x, gy, kernel, stride, padding):
    """Values, and the gradient of the first largest value of each window."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    y, gradient = np.empty(gy.shape), np.zeros(padded.shape)
    for n, c, i, j in np.ndindex(*gy.shape):
        window = padded[n, c, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
        u, v = np.unravel_index(window.argmax(), window.shape)
        y[n, c, i, j] = window[u, v]
        gradient[n, c, i * stride + u, j * stride + v] += gy[n, c, i, j]
    return y, gradient[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


@pytest.mark.parametrize("values", ["random", "with ties"])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), CASES, ids=str)
def test_values_and_gradients(shape, kernel, stride, padding, values, mode):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, shape) if values == "random" else np.maximum(rng.integers(-3, 3, shape), 0)
    x = Tensor(x.astype(np.float32))
    cell = NativeMaxPool2d(kernel, stride, padding)
    y = cell(x)
    gy = rng.normal(0, 1, y.shape).astype(np.float32)
    found = y.asnumpy(), ops.GradOperation(sens_param=True)(cell)(x, Tensor(gy)).asnumpy()
    expected = pooled(x.asnumpy(), gy, kernel, stride, padding)
    assert np.array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), CASES[:2], ids=str)
def test_mindspore_has_the_same(shape, kernel, stride, padding, mode):
    x = Tensor(np.random.default_rng(1).normal(0, 1, shape).astype(np.float32))
    other = nn.MaxPool2d(kernel, stride, pad_mode="pad", padding=padding)
    ours = max_pool(kernel, stride, padding)
    assert np.array_equal(ours(x).asnumpy(), other(x).asnumpy())
    gradients = [ops.GradOperation()(cell)(x).asnumpy() for cell in (ours, other)]
    np.testing.assert_allclose(*gradients, rtol=1e-6)


def test_bits_do_not_depend_on_threads(threads):
    x = Tensor(np.random.default_rng(2).normal(0, 1, (7, 5, 40, 40)).astype(np.float32))
    results = []
    for count in (1, 3):
        threads(count)
        results.append(NativeMaxPool2d(3, 2, 1)(x).asnumpy())
    assert np.array_equal(*results)


def test_a_padding_above_half_of_the_kernel_is_refused():
    with pytest.raises(ConfigError, match="at most 1, found 2"):
        NativeMaxPool2d(3, 2, 2)
