"""Fused fake quantization: values to their nearest level, straight-through gradients, and the cost of each channel."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from common.kernels import fake_quant_fallback as fallback
from common.kernels.custom import operator, use_native


class UniformQuantize(nn.Cell):
    r"""Unsigned uniform quantization with the bits of each channel and one clip a.

    .. math::
        Y &= \frac{a}{2^k - 1}\,\mathrm{round}\left(\frac{2^k - 1}{a}\,\mathrm{clip}(X, 0, a)\right)
        \quad\text{(half to even; 0 for } k = 0)

        \partial X &= \partial Y \cdot [0 \le X \le a], \qquad
        \partial a = \sum \partial Y \cdot \begin{cases} 1 & X \ge a \\ (Y - X) / a & 0 \le X < a \end{cases}

    Channels of 0 bits add nothing to the gradient of a. The lower case is that of LSQ; with ``learned_step=False`` it
    is 0, as in PACT. A clip below ``least_clip`` counts as that, and gets no gradient.

    ``construct(x, bits, clip, probe)``: x (N, C) or (N, C, H, W) float32; bits (C,) int32, 0 to 16; clip (1,) float32
    > 0; probe (C,) float32, zeros. The result does not depend on the probe's value, but the probe gets a gradient:
    sum (X - Y) dY of each channel, the first-order change of the loss if the channel were not quantized.

    Args:
        learned_step: whether the clip's gradient includes the rounding error.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
        least_clip: a clip that learning drives below it would leave no levels, or turn them round.
    """

    def __init__(self, learned_step: bool = True, native: bool | None = None, least_clip: float = 0.0):
        super().__init__()
        self.learned_step, self.native = learned_step, use_native(native)
        self.least_clip = Tensor(np.array([least_clip], np.float32))
        self.settings = Tensor(np.array([learned_step], np.int32))
        if self.native:
            self.forward_op = operator("UniformQuantize", lambda x, *_: x, lambda x, *_: x)
            self.grad_op = operator(
                "UniformQuantizeGrad",
                lambda x, bits, clip, *_: (x, clip, bits),
                lambda *_: (mstype.float32, mstype.float32, mstype.float32),
            )

    def construct(self, x, bits, clip, probe):
        if self.native:
            return self.forward_op(x, bits, clip, self.least_clip)
        return fallback.uniform_quantize(x, bits, ops.maximum(clip, self.least_clip))

    def bprop(self, x, bits, clip, probe, out, dout):
        """Gradients for x, clip and probe."""
        if self.native:
            grad_x, grad_clip, grad_probe = self.grad_op(x, bits, clip, self.least_clip, dout, self.settings)
        else:
            limit, counts = ops.maximum(clip, self.least_clip), (clip >= self.least_clip).astype(mstype.float32)
            grad_x, grad_clip, grad_probe = fallback.uniform_quantize_grad(x, bits, limit, out, dout, self.learned_step)
            grad_clip = grad_clip * counts
        return grad_x, 0 * bits, grad_clip, grad_probe


class NativeForkedUniform(nn.Cell):
    """A :class:`UniformQuantize` of the native kind and its input: gradients of both are added as one is written.

    ``construct(x, bits, clip, probe)`` gives Y, and x for what else reads it.
    """

    def __init__(self, quantize: UniformQuantize):
        super().__init__()
        self.quantize = quantize
        self.grad_op = operator(
            "UniformQuantizeGradAdd",
            lambda x, bits, clip, *_: (x, clip, bits),
            lambda *_: (mstype.float32, mstype.float32, mstype.float32),
        )

    def construct(self, x, bits, clip, probe):
        return self.quantize.forward_op(x, bits, clip, self.quantize.least_clip), x

    def bprop(self, x, bits, clip, probe, out, dout):
        """Gradients for x, clip and probe."""
        least, settings = self.quantize.least_clip, self.quantize.settings
        of_x, of_clip, of_probe = self.grad_op(x, bits, clip, least, dout[0], settings, dout[1])
        return of_x, 0 * bits, of_clip, of_probe


class CodebookQuantize(nn.Cell):
    r"""Quantization of each row to the levels of a table, times the row's scale s.

    .. math::
        Y_f = s_f\, T_{k_f, i},\quad i = \arg\min_i |W_f - s_f T_{k_f, i}|, \qquad
        \partial W_f = \partial Y_f \cdot [|W_f| \le s_f]

    The upper level wins a tie; rows of 0 bits become 0.

    ``construct(w, bits, scale, table, probe)``: w (F, ...) float32; bits (F,) int32; scale (F,) float32; table
    (K, 2^b) float32, row k with the 2^k levels of k bits in rising order; probe (F,) zeros, its gradient is
    sum (W - Y) dY of each row, as in :class:`UniformQuantize`. Scale and table get no gradient.

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, native: bool | None = None):
        super().__init__()
        self.native = use_native(native)
        if self.native:
            self.forward_op = operator("CodebookQuantize", lambda w, *_: w, lambda w, *_: w)
            self.grad_op = operator(
                "CodebookQuantizeGrad", lambda w, scale, *_: (w, scale), lambda *_: (mstype.float32, mstype.float32)
            )

    def construct(self, w, bits, scale, table, probe):
        if self.native:
            return self.forward_op(w, bits, scale, table)
        return fallback.table_quantize(w, bits, scale, table)

    def bprop(self, w, bits, scale, table, probe, out, dout):
        """Gradients for w and probe."""
        if self.native:
            grad_w, grad_probe = self.grad_op(w, scale, out, dout)
        else:
            grad_w, grad_probe = fallback.table_quantize_grad(w, scale, out, dout)
        return grad_w, 0 * bits, 0 * scale, 0 * table, grad_probe
