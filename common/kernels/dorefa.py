"""Fused DoReFa quantization of weights (Zhou et al., arXiv 1606.06160), forward and backward in one pass each."""

from mindspore import nn

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
