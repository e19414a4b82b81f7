"""Fused DoReFa quantization of weights (Zhou et al., arXiv 1606.06160), forward and backward in one pass each."""

import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from common.kernels import dorefa_fallback as fallback
from common.kernels.custom import operator, use_native


class DoReFaQuantize(nn.Cell):
    r"""Weights to the nearest of :math:`2^k` levels from -1 to 1 (equations 9 and 10 of the paper).

    .. math::
        t = \tanh W,\quad m = \max|t|, \qquad
        Y = \frac{2}{2^k - 1}\,\mathrm{round}\left((2^k - 1)\left(\frac{t}{2m} + \frac12\right)\right) - 1
        \quad\text{(half to even; } Y = W \text{ for } k = 32)

    The gradient passes straight through the rounding and exactly through tanh and m; weights that tie for m share its
    gradient.

    ``construct(w, bits)``: w of any shape, float32; bits (1,) int32, 1 to 16 or 32.

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, native: bool | None = None):
        super().__init__()
        self.native = use_native(native)
        if self.native:
            self.forward_op = operator("DoReFaQuantize", lambda w, _: w, lambda w, _: w)
            self.grad_op = operator("DoReFaQuantizeGrad", lambda w, *_: w, lambda w, *_: w)

    def construct(self, w, bits):
        if self.native:
            return self.forward_op(w, bits)
        return fallback.quantize(w, bits)

    def bprop(self, w, bits, out, dout):
        """Gradient for w."""
        if self.native:
            return self.grad_op(w, bits, dout), 0 * bits
        return fallback.quantize_grad(w, bits, dout), 0 * bits


class NativeDoReFaWeights(nn.Cell):
    r"""Weights at K widths, each times a constant scale: :math:`Y_k = s_k\,Q(W; b_k)`, tanh computed once.

    Q is :class:`DoReFaQuantize` with pruned weights at 0 (:mod:`common.quant.zeros`); these get no gradient.

    ``construct(w, bits, scale)``: w (F, ...) float32; bits (K,) int32, 1 to 16 or 32; scale (K,) float32, without a
    gradient. Gives Y (K, F, ...) and tanh W, which has no gradient.

    Args:
        single: K is 1, and Y has the shape of w.
    """

    def __init__(self, single: bool = False):
        super().__init__()
        self.forward_op = operator(
            "DoReFaWeights",
            lambda w, bits, _: (w if single else bits + w, w),
            lambda *_: (mstype.float32, mstype.float32),
        )
        self.forward_op.add_prim_attr("single", single)  # PYNATIVE mode tells shapes apart by attributes
        self.grad_op = operator("DoReFaWeightsGrad", lambda w, *_: w, lambda w, *_: w)
        self.any_bits, self.one = Tensor(np.array([1], np.int32)), Tensor(np.ones(1, np.float32))

    def construct(self, w, bits, scale):
        return self.forward_op(w, bits, scale)

    def common_gradient(self, w, tanh, gradient):
        r"""Gradient for w of :math:`\sum_k s_k \partial Y_k`, (F, ...); it does not depend on the widths."""
        return self.grad_op(w, tanh, self.any_bits, self.one, gradient)

    def bprop(self, w, bits, scale, out, dout):
        """Gradient for w."""
        return self.grad_op(w, out[1], bits, scale, dout[0]), 0 * bits, 0 * scale
