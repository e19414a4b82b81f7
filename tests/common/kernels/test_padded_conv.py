"""Convolutions of any padding, stride and dilation against sums in float64, values and gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from common.kernels.padded_conv import padded_conv2d, same_padding

CASES = {
    "plain": ((1, 1), (1, 1, 1, 1), (1, 1), 1),
    "sides": ((2, 2), (0, 1, 2, 0), (1, 1), 1),
    "strides": ((1, 2), (1, 1, 1, 1), (1, 1), 2),
    "dilated": ((1, 1), (2, 2, 2, 2), (2, 2), 1),
    "depthwise, dilated": ((2, 2), (2, 1, 0, 3), (2, 1), 4),
    "same": ((2, 2), None, (1, 1), 1),
    "same, dilated": ((3, 2), None, (2, 2), 1),
}


def reference(x, w, stride, sides, dilation, groups):
    """The convolution as sums, float64, for a gradient too: linear in w."""
    top, bottom, left, right = sides
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    filters, channels, high, wide = w.shape
    rows = (x.shape[2] - dilation[0] * (high - 1) - 1) // stride[0] + 1
    columns = (x.shape[3] - dilation[1] * (wide - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), filters, rows, columns))
    for f, i, j in np.ndindex(filters, rows, columns):
        group, t, s = f // (filters // groups), i * stride[0], j * stride[1]
        window = x[:, group * channels : (group + 1) * channels, t : t + dilation[0] * high : dilation[0]]
        y[:, f, i, j] = (window[..., s : s + dilation[1] * wide : dilation[1]] * w[f]).sum((1, 2, 3))
    return y


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(mode, case):
    stride, padding, dilation, groups = CASES[case]
    rng = np.random.default_rng(0)
    x, w = rng.normal(0, 1, (2, 4, 9, 7)), rng.normal(0, 1, (4, 4 // groups, 3, 2))
    x, w = x.astype(np.float32), w.astype(np.float32)
    sides = padding or same_padding((9, 7), (3, 2), stride, dilation)
    expected = reference(x, w, stride, sides, dilation, groups)
    cell = padded_conv2d(stride, padding, dilation, groups)
    np.testing.assert_allclose(cell(Tensor(x), Tensor(w)).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    seed = rng.normal(0, 1, expected.shape).astype(np.float32)

    class Sum(nn.Cell):
        def __init__(self):
            super().__init__()
            self.cell, self.seed = cell, Tensor(seed)

        def construct(self, x, w):
            return (self.cell(x, w) * self.seed).sum()

    grad_x, grad_w = ms.grad(Sum(), (0, 1))(Tensor(x), Tensor(w))
    for grad, array, place in ((grad_x, x, 0), (grad_w, w, 1)):
        direction = rng.normal(0, 1, array.shape)
        moved = [x.astype(np.float64), w.astype(np.float64)]
        moved[place] = direction  # the sum is linear in each
        slope = (reference(*moved, stride, sides, dilation, groups) * seed).sum()
        assert float((grad.asnumpy() * direction).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("size", [5, 8, 11])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (2, 3, 1), (5, 4, 1), (3, 2, 2), (1, 2, 1)])
def test_same_is_mindspores(pynative, size, kernel, stride, dilation):
    layer = nn.Conv2d(3, 2, kernel, stride, dilation=dilation)
    x = np.random.default_rng(0).normal(0, 1, (1, 3, size, size)).astype(np.float32)
    cell = padded_conv2d((stride,) * 2, None, (dilation,) * 2)
    expected = layer(Tensor(x)).asnumpy()
    np.testing.assert_allclose(cell(Tensor(x), layer.weight).asnumpy(), expected, rtol=1e-4, atol=1e-5)
