"""Calls of the convolutions under test and of PyTorch's, and the comparison of their results."""

import adder_oracle
import conv_oracle as oracle
import numpy as np
import pytest

from common.kernels import native_available
from common.kernels.conv import float_conv2d

# float32 sums of at most 10,000 terms: errors of 1e-6 of the largest value are seen, 3e-6 in training.
TOLERANCE = 1e-5


def convolve(x, w, gy, stride, padding, native, groups=1):
    """Output, gradient for x, gradient for w."""
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    return oracle.run(float_conv2d(stride, padding, groups, native), (x, w), gy)


def call_all(library, kind, x, w, gy, stride, padding):
    """The same of the C++ functions themselves, on outputs of NaN, so that a value they leave out is found."""
    geometry = np.array([stride, padding], np.int32)
    return [
        adder_oracle.call(library, f"{kind}{function}", [*inputs, geometry], np.full(shape, np.nan, np.float32))
        for function, inputs, shape in (
            ("Forward", (x, w), gy.shape),
            ("GradInput", (x, w, gy), x.shape),
            ("GradWeight", (x, w, gy), w.shape),
        )
    ]


def check(found, expected):
    assert [oracle.error(*pair) < TOLERANCE for pair in zip(found, expected, strict=True)] == [True] * 3


def torch_convolution(x, w, gy, stride, padding, groups=1):
    """Output and gradients in PyTorch's float64."""
    torch = pytest.importorskip("torch")
    x, w = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (x, w))
    y = torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups)
    y.backward(torch.tensor(gy, dtype=torch.float64))
    return [t.detach().numpy() for t in (y, x.grad, w.grad)]
