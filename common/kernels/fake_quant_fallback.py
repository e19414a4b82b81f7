"""Fake quantization in MindSpore's own operators: any device, slower, the same values (see :mod:`.fake_quant`)."""

from mindspore import dtype as mstype
from mindspore import ops


def _per_channel(values, x):
    """(C,) in a shape that broadcasts to x (N, C, ...)."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def _per_row(values, w):
    """(F,) in a shape that broadcasts to w (F, ...)."""
    return values.reshape((-1,) + (1,) * (w.ndim - 1))


def uniform_quantize(x, bits, clip):
    """Nearest of the 2^k levels from 0 to clip; the shape of x."""
    steps = ops.pow(2.0, bits.astype(mstype.float32)) - 1.0  # (C,)
    up, down = _per_channel(steps / clip, x), _per_channel(clip / ops.maximum(steps, 1.0), x)
    return ops.round(ops.minimum(ops.maximum(x, 0.0), clip) * up) * down


def uniform_quantize_grad(x, bits, clip, y, dout, learned_step: bool):
    """Gradients for x, clip (1,) and probe (C,)."""
    clamped = ops.minimum(ops.maximum(x, 0.0), clip)
    above = (x >= clip).astype(mstype.float32)
    share = above + (1.0 - above) * (y - clamped) / clip if learned_step else above
    share = share * _per_channel((bits > 0).astype(mstype.float32), x)
    axes = (0, *range(2, x.ndim))
    grad_clip = ops.reduce_sum(dout * share).reshape(1)
    return dout * (x == clamped).astype(mstype.float32), grad_clip, ops.reduce_sum(dout * (x - y), axes)


def table_quantize(w, bits, scale, table):
    """Nearest level of each row's bits; the shape of w."""
    rows = ops.gather(table, bits, 0)  # (F, 2^b)
    counts = _per_row(ops.pow(2.0, bits.astype(mstype.float32)), w)
    scale = _per_row(scale, w)
    y = w * 0.0 + _per_row(rows[:, 0], w) * scale
    for i in range(1, table.shape[1]):
        lower, level = _per_row(rows[:, i - 1], w), _per_row(rows[:, i], w)
        reached = ops.logical_and(w >= 0.5 * (lower + level) * scale, counts > i)
        y = ops.select(reached, w * 0.0 + level * scale, y)
    return y * (counts > 1).astype(mstype.float32)


def table_quantize_grad(w, scale, y, dout):
    """Gradients for w and probe (F,)."""
    grad_w = dout * (ops.abs(w) <= _per_row(scale, w)).astype(mstype.float32)
    return grad_w, ops.reduce_sum((dout * (w - y)).reshape(w.shape[0], -1), 1)
