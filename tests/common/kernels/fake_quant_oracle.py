"""Fake quantization and its gradients in float64 NumPy from their equations, and values for the tests of it."""

import numpy as np

BITS = np.array([0, 1, 2, 3, 4, 8], np.int32)

# Shapes of activations and the place in BITS where their first channel begins.
SHAPES = [
    *[((1, 1), first) for first in range(len(BITS))],
    ((7, 5), 1),
    ((3, 17), 0),
    ((4, 6, 7), 0),
    ((1, 1, 1, 1), 3),
    ((2, 1, 3, 5), 5),
    ((3, 6, 4, 33), 0),
    ((17, 2, 1, 16), 3),
    ((2, 3, 70, 64), 2),
]
ROWS = [(5,), (1, 1), (6, 17), (7, 6, 3, 3), (6, 5, 1, 1), (13, 3, 5, 5)]


def channelwise(values, x):
    return np.asarray(values, np.float64).reshape((1, -1) + (1,) * (x.ndim - 2))


def rowwise(values, w):
    return np.asarray(values, np.float64).reshape((-1,) + (1,) * (w.ndim - 1))


def uniform(x, bits, clip):
    steps = channelwise(2.0**bits - 1, x)
    return np.rint(np.clip(x.astype(np.float64), 0, clip) / clip * steps) * clip / np.maximum(steps, 1)


def uniform_gradients(x, bits, clip, gy, learned_step=True):
    """Gradients for x, clip and probe."""
    y, x, gy = uniform(x, bits, clip), x.astype(np.float64), gy.astype(np.float64)
    share = np.where(x >= clip, 1, np.where(x >= 0, (y - x) / clip, 0) * learned_step) * (channelwise(bits, x) > 0)
    axes = (0, *range(2, x.ndim))
    return gy * ((x >= 0) & (x <= clip)), (gy * share).sum(keepdims=True).reshape(1), (gy * (x - y)).sum(axes)


def table_quantized(w, bits, scale, table):
    """The nearest level by comparison with all of them; the upper one of two."""
    y = np.zeros(w.shape)
    for row, k in enumerate(bits):
        levels = table[k, : 2**k].astype(np.float64)[::-1] * (k > 0) * scale[row]
        y[row] = levels[abs(w[row].astype(np.float64)[..., None] - levels).argmin(-1)]
    return y


def table_gradients(w, bits, scale, table, gy):
    """Gradients for w and probe."""
    y, gy = table_quantized(w, bits, scale, table), gy.astype(np.float64)
    return gy * (abs(w) <= rowwise(scale, w)), (gy * (w - y)).reshape(len(w), -1).sum(1)


def uniform_sample(shape, first, clip):
    """Values up to 0.45 of a step beside a level, below 0 and above the clip too, some of them just 0 or the clip."""
    rng = np.random.default_rng(first)
    bits = np.resize(np.roll(BITS, -first), shape[1])
    steps = np.broadcast_to(channelwise(np.maximum(2.0**bits - 1, 1), np.empty(shape)), shape)
    x = (rng.integers(-2, steps + 3) + rng.uniform(-0.45, 0.45, shape)) * clip / steps
    x = np.select([rng.random(shape) < 0.1, rng.random(shape) < 0.1], [0, clip], x)
    return x.astype(np.float32), bits, rng.normal(0, 1, shape).astype(np.float32)


def make_table(most_bits):
    """Row k: 2^k levels from -1 to 1, symmetric and uneven; the rest of the row is NaN, which nobody may read."""
    rng, table = np.random.default_rng(most_bits), np.full((most_bits + 1, 2**most_bits), np.nan, np.float32)
    table[0] = 0
    for k in range(1, most_bits + 1):
        gaps = rng.uniform(0.5, 1.5, 2 ** (k - 1)).cumsum()
        table[k, : 2**k] = np.concatenate((-gaps[::-1], gaps)) / gaps[-1]
    return table


def table_sample(shape, most_bits):
    """Weights up to 0.45 of a gap beside a level, some beyond the scale, just at it, or 0 where no tie is."""
    rng, table = np.random.default_rng(len(shape)), make_table(most_bits)
    bits = np.resize(BITS[most_bits >= BITS], shape[0])
    scale, w = rng.uniform(0.2, 3, shape[0]).astype(np.float32), np.zeros(shape, np.float32)
    for row, k in enumerate(bits):
        levels = table[k, : 2**k].astype(np.float64)
        middles = (levels[1:] + levels[:-1]) / 2
        index = rng.integers(0, 2**k, shape[1:])
        low, high = np.append(-1.5, middles)[index], np.append(middles, 1.5)[index]
        towards = np.where(rng.random(shape[1:]) < 0.5, low, high)
        values = levels[index] + rng.uniform(0, 0.9, shape[1:]) * (towards - levels[index])
        w[row] = np.select([rng.random(shape[1:]) < p for p in (0.05, 0.1)], [-1, 1], values) * scale[row]
    return w, bits, scale, table, rng.normal(0, 1, shape).astype(np.float32)
