"""The convolution of deep learning in float64 NumPy, one tap at a time, and how far results are from such oracles."""

import numpy as np
from adder_oracle import SIZES, output_shape, taps
from mindspore import Tensor, ops

# Beside those of the adder: padding >= kernel, wide rows at each stride, one filter tile and one more.
CONV_SIZES = [
    *SIZES,
    (2, 3, 4, 7, 8, 1, 1, 1, 1),
    (1, 3, 1, 1, 9, 2, 2, 1, 2),
    (2, 5, 9, 16, 17, 3, 2, 1, 2),
    (1, 1, 10, 33, 3, 3, 3, 1, 2),
    (17, 3, 6, 8, 5, 3, 3, 2, 0),
    (2, 17, 7, 17, 1, 2, 5, 3, 2),
    # 1 x 1: blocks of pixels that go on from one image to the next, several panels, strides.
    (3, 5, 7, 7, 9, 1, 1, 1, 0),
    (2, 300, 17, 19, 6, 1, 1, 1, 0),
    (2, 11, 9, 10, 6, 1, 1, 2, 0),
    # Kernels that see the whole image once.
    (5, 3, 4, 4, 9, 4, 4, 1, 0),
    (3, 2, 2, 3, 5, 2, 3, 2, 0),
    # 3 x 3 at stride 1 with channels and filters enough for Winograd's squares: odd and even sizes, each padding, more
    # channels and filters than one item of work takes, fewer images than blocks and more.
    (1, 8, 1, 1, 8, 3, 3, 1, 1),
    (3, 9, 5, 8, 24, 3, 3, 1, 0),
    (2, 16, 6, 3, 33, 3, 3, 1, 2),
    (2, 70, 9, 5, 140, 3, 3, 1, 1),
    (19, 16, 8, 8, 16, 3, 3, 1, 1),
]

# The same and groups: depthwise with one and two filters per channel, then groups of several channels. Rows of less
# than a vector, of one and one more; gaps between the windows; padding >= kernel; filters by the dozen.
GROUPED_SIZES = [
    (3, 5, 9, 17, 5, 3, 3, 1, 1, 5),
    (2, 6, 9, 7, 12, 3, 3, 2, 1, 6),
    (3, 6, 9, 7, 4, 3, 3, 2, 0, 2),
    (2, 3, 8, 33, 3, 3, 3, 2, 1, 3),
    (1, 2, 1, 1, 2, 1, 1, 1, 0, 2),
    (5, 3, 3, 16, 3, 3, 3, 1, 2, 3),
    (1, 3, 12, 18, 6, 5, 5, 2, 2, 3),
    (2, 2, 7, 9, 2, 2, 2, 3, 1, 2),
    (17, 4, 6, 5, 4, 1, 3, 1, 0, 4),
    (2, 3, 4, 8, 3, 1, 1, 1, 1, 3),
    (1, 80, 7, 7, 80, 7, 7, 1, 3, 80),
    (2, 12, 5, 9, 8, 3, 2, 1, 1, 4),
]


def forward(x, w, stride, padding):
    x, w = x.astype(np.float64), w.astype(np.float64)
    return sum(np.einsum("ncij,fc->nfij", p, w[:, :, u, v]) for u, v, _, p in taps(x, w.shape, stride, padding))


def input_gradient(x, w, gy, stride, padding):
    w, gy = w.astype(np.float64), gy.astype(np.float64)
    total = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
    for u, v, where, _ in taps(x, w.shape, stride, padding):
        total[where] += np.einsum("nfij,fc->ncij", gy, w[:, :, u, v])
    return total[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


def weight_gradient(x, w, gy, stride, padding):
    x, gy = x.astype(np.float64), gy.astype(np.float64)
    total = np.zeros(w.shape)
    for u, v, _, patch in taps(x, w.shape, stride, padding):
        total[:, :, u, v] = np.einsum("nfij,ncij->fc", gy, patch)
    return total


def everything(x, w, gy, stride, padding):
    """Output, gradient for x, gradient for w."""
    gradients = [gradient(x, w, gy, stride, padding) for gradient in (input_gradient, weight_gradient)]
    return [forward(x, w, stride, padding), *gradients]


def grouped(x, w, gy, stride, padding, groups):
    """The same with groups of channels, one after the other."""
    parts = zip(np.split(x, groups, 1), np.split(w, groups), np.split(gy, groups, 1), strict=True)
    results = zip(*(everything(*part, stride, padding) for part in parts), strict=True)
    return [np.concatenate(result, axis) for result, axis in zip(results, (1, 1, 0), strict=True)]


def sample(n, c, h, w, f, kh, kw, stride, padding, groups=1):
    """Inputs, weights and output gradients."""
    rng = np.random.default_rng(n + c + f)
    x = rng.normal(0.3, 1, (n, c, h, w)).astype(np.float32)
    weight = rng.normal(0, 1, (f, c // groups, kh, kw)).astype(np.float32)
    return x, weight, rng.normal(0, 1, (n, f, *output_shape(x, weight, stride, padding))).astype(np.float32)


def run(cell, inputs, gy):
    """The output of a cell and its gradients for all inputs."""
    inputs, gy = [Tensor(array) for array in inputs], Tensor(gy)
    y = cell(*inputs)
    gradients = ops.GradOperation(get_all=True, sens_param=True)(cell)(*inputs, gy)
    return [t.asnumpy() for t in (y, *gradients)]


def error(found, expected):
    """Largest difference, relative to the largest value where that is above 1; NaN is never small."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1, np.abs(expected).max())
