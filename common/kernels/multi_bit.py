"""Multi-bit weights: scales that follow them, levels and pruned weights in one operator each way."""

from mindspore import dtype as mstype
from mindspore import nn

from common.kernels.custom import operator


class NativeMultiBit(nn.Cell):
    r"""Weights to the levels of their rows' bits, times scales that follow the weights.

    .. math::
        s'_f = m\,s_f + (1 - m)\,c_{k_f}\,\mathrm{mean}|W_f|, \qquad
        Y_f = s'_f\, T_{k_f, i},\quad i = \arg\min_i |W_f - s'_f T_{k_f, i}|

    ``construct(w, bits, scale, table, lowest, clips, momentum, probe)``: w (F, ...) float32; bits (F,) int32; scale
    (F,); table (K, 2^b), row k with the 2^k levels of k bits in rising order; lowest (K,), the least level beside
    pruned weights; clips (K,), c of k bits; momentum (1,), m, 1 to keep the scale; probe (F,), zeros. Gives Y and s'.

    Weights of exactly 0 are pruned: they do not count in the mean, stay 0 and get no gradient, as
    :class:`~common.kernels.keep_zeros.NativeKeepZeros` has it; rows of 1 bit do not take part in that. Gradients for w
    and probe are those of :class:`~common.kernels.fake_quant.CodebookQuantize`.
    """

    def __init__(self):
        super().__init__()
        kinds = (mstype.float32, mstype.float32)
        self.forward_op = operator("MultiBitQuantize", lambda w, bits, scale, *_: (w, scale), lambda *_: kinds)
        self.grad_op = operator("MultiBitQuantizeGrad", lambda w, bits, scale, *_: (w, scale), lambda *_: kinds)

    def construct(self, w, bits, scale, table, lowest, clips, momentum, probe):
        return self.forward_op(w, bits, scale, table, lowest, clips, momentum)

    def bprop(self, w, bits, scale, table, lowest, clips, momentum, probe, out, dout):
        """Gradients for w and probe."""
        of_w, of_probe = self.grad_op(w, bits, out[1], table, dout[0])
        return of_w, 0 * bits, 0 * scale, 0 * table, 0 * lowest, 0 * clips, 0 * momentum, of_probe
