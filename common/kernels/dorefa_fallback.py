"""DoReFa's weight quantizer in MindSpore's own operators: any device, slower, the same values (see :mod:`.dorefa`)."""

from mindspore import dtype as mstype
from mindspore import ops

FLOAT_BITS = 32
_SMALLEST = 1e-12


def _tanh(w):
    """The tanh of w and its largest absolute value (1,)."""
    t = ops.tanh(w)
    return t, ops.maximum(ops.abs(t).max(), _SMALLEST).reshape(1)


def quantize(w, bits):
    """The nearest of 2^k levels from -1 to 1; the shape of w."""
    t, most = _tanh(w)
    steps = ops.pow(2.0, ops.minimum(bits, FLOAT_BITS - 1).astype(mstype.float32)) - 1.0
    y = 2.0 * (ops.round(steps * (t * (0.5 / most) + 0.5)) / steps) - 1.0
    quantized = (bits < FLOAT_BITS).astype(mstype.float32)
    return y * quantized + w * (1.0 - quantized)


def quantize_grad(w, bits, dout):
    """Gradient for w."""
    t, most = _tanh(w)
    largest = (ops.abs(w) == ops.abs(w).max()).astype(mstype.float32)
    slope = -(dout * t).sum() / (most * most) * (1.0 - most * most) / largest.sum()
    gradient = dout * (1.0 - t * t) / most + largest * ops.sign(w) * slope
    quantized = (bits < FLOAT_BITS).astype(mstype.float32)
    return gradient * quantized + dout * (1.0 - quantized)
