"""Pruned weights that stay 0 in a quantized layer, in one operator each way; :mod:`common.quant.zeros` says how."""

import numpy as np
from mindspore import Tensor, nn

from common.kernels.custom import operator


class NativeKeepZeros(nn.Cell):
    """``construct(weight, values, lowest, keeps)`` gives the values with 0 for pruned weights.

    Weights and values (F, ...) float32; lowest (F,) or (1,) float32, the least value beside pruned weights; keeps (F,)
    or (1,) int32, 0 for rows whose values stay as they are. The values alone have a gradient, 0 at pruned weights.

    Args:
        shared_scale: whether all rows have one scale, so that one may be dead beside the others.
    """

    def __init__(self, shared_scale: bool):
        super().__init__()
        self.shared = Tensor(np.array([shared_scale], np.int32))
        self.forward_op = operator("KeepZeros", lambda w, *_: w, lambda w, *_: w)
        self.grad_op = operator("KeepZerosGrad", lambda w, *_: w, lambda w, *_: w)

    def construct(self, weight, values, lowest, keeps):
        return self.forward_op(weight, values, lowest, keeps, self.shared)

    def bprop(self, weight, values, lowest, keeps, out, dout):
        """Gradient for the values."""
        return 0 * weight, self.grad_op(weight, dout, keeps, self.shared), 0 * lowest, 0 * keeps
