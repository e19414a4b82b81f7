"""A convolution whose images choose among branches, in float64 NumPy, and calls of its operators in a built library."""

import adder_oracle
import conv_oracle as oracle
import numpy as np

BITS, CLIP = np.array([2, 3, 4], np.int32), np.array([1.3], np.float32)
SCALE = np.array([0.9, 0.7, 0.75], np.float32)

# N, C, H, W, F, KH, KW, stride, padding: odd sizes, narrow and wide rows, strides, no padding, more than a filter tile,
# 1 x 1 with panels of pixels, Winograd's squares with rests of channels and filters.
SIZES = [
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (7, 5, 9, 9, 6, 3, 3, 1, 1),
    (5, 3, 8, 17, 9, 3, 3, 2, 1),
    (9, 4, 7, 6, 3, 1, 1, 2, 0),
    (4, 16, 16, 16, 32, 3, 3, 1, 1),
    (3, 2, 9, 33, 5, 5, 3, 1, 2),
    (40, 2, 5, 5, 4, 3, 3, 1, 0),
    (7, 12, 6, 6, 20, 1, 1, 1, 0),
    (5, 17, 7, 9, 40, 3, 3, 1, 1),
]


def sample(n, c, h, w, f, kh, kw, stride, padding, choice=None, levels=False):
    """Inputs x, weights of the branches (with ``levels`` as DoReFa has them), mask, and an output gradient."""
    rng = np.random.default_rng(n + c + f)
    x = rng.normal(0.5, 1, (n, c, h, w)).astype(np.float32)
    weights = rng.normal(0, 1, (len(BITS), f, c, kh, kw)).astype(np.float32)
    if levels:
        steps = (2.0**BITS - 1).reshape(-1, 1, 1, 1, 1)
        codes = np.rint(np.clip(weights / 2 + 0.5, 0, 1) * steps)
        weights = (SCALE.reshape(-1, 1, 1, 1, 1) * (2 * codes / steps - 1)).astype(np.float32)
        weights[:, 0, 0, 0, 0] = 0  # a pruned one
        if h % 2:  # sums of nine of them do not fit into bytes at 4 bits
            weights[:, -1] = SCALE.reshape(-1, 1, 1, 1)
    choice = rng.integers(0, len(BITS), n) if choice is None else choice
    mask = np.eye(len(BITS), dtype=np.float32)[choice]
    shape = (n, f, (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1)
    return x, weights, mask, rng.normal(0, 1, shape).astype(np.float32)


def quantized(x, bits):
    """As float32 rounds, so that the oracle takes the same levels."""
    steps = np.float32(2**bits - 1)
    return np.rint(np.clip(x, 0, CLIP) * (steps / CLIP)) * (CLIP / steps)


def expected(x, weights, mask, gy, stride, padding):
    """Output and gradients for x, the branches' weights (K, F, ...), clip and mask in float64, branch by branch."""
    outputs = [oracle.forward(quantized(x, own), w, stride, padding) for own, w in zip(BITS, weights)]
    y = sum(m[:, None, None, None] * out for m, out in zip(mask.T, outputs))
    grad_q, grad_w = 0, []
    for own, w, m in zip(BITS, weights, mask.T):
        masked = gy * m[:, None, None, None]
        grad_q = grad_q + oracle.input_gradient(x, w, masked, stride, padding)
        grad_w.append(oracle.weight_gradient(quantized(x, own), w, masked, stride, padding))
    inside = (x >= 0) & (x <= CLIP)
    grad_mask = np.stack([(gy * out).sum((1, 2, 3)) for out in outputs], 1)
    return y, grad_q * inside, np.stack(grad_w), np.array([(grad_q * (x >= CLIP)).sum()]), grad_mask


def call_all(library, x, weights, mask, gy, stride, padding, levels):
    """Outputs in evaluation and training, gradients for x, clip, of the sum of the weights by ``SCALE``, and mask."""

    def empty(shape):
        return np.full(shape, np.nan, np.float32)

    given, geometry = [x, weights, BITS, CLIP, mask], np.array([stride, padding], np.int32)
    scale = SCALE if levels else 0 * SCALE
    y = adder_oracle.call(library, "SelectedConv", [*given, geometry], empty(gy.shape))
    trained = adder_oracle.call(library, "SelectedConvTrain", [*given, scale, geometry], empty(gy.shape))
    of_x, more = empty(x.shape), empty(x.shape)
    of_clip, of_clip_too = empty(1), empty(1)
    products = adder_oracle.call(library, "SelectedConvGradInput", [*given, gy, geometry, of_x, of_clip], empty(len(x)))
    outputs = [more, of_clip_too]
    again = adder_oracle.call(library, "SelectedConvGradInputAdd", [*given, gy, x, geometry, *outputs], empty(len(x)))
    assert oracle.error(more, of_x + x) < 1e-6 and of_clip == of_clip_too and np.array_equal(products, again)
    of_w = adder_oracle.call(library, "SelectedConvGradWeight", [*given, SCALE, gy, geometry], empty(weights.shape[1:]))
    of_mask = adder_oracle.call(
        library, "SelectedConvGradMask", [*given, scale, products, gy, geometry], empty(mask.shape)
    )
    return [y, trained, of_x, of_clip, of_w, of_mask]
