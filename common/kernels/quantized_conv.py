"""A convolution of inputs that it quantizes itself, for training: what is quantized is never stored."""

import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from common.kernels.custom import conv_shape, operator


def clipped_input_gradient(name: str):
    """An operator of (x, w, bits, clip, ...) that gives the gradients for x and for the clip."""
    return operator(name, lambda x, w, bits, clip, *_: (x, clip), lambda *_: (mstype.float32, mstype.float32))


class NativeQuantizedConv(nn.Cell):
    r"""The convolution of training of inputs on uniform levels, in one pass over them each way.

    .. math:: Y = \mathrm{conv}(Q(X; b, a), W)

    with Q and its gradients as :class:`~common.kernels.fake_quant.UniformQuantize` with ``learned_step=False`` has
    them, for one bit-width b and clip a of all channels; sums do not depend on the number of threads.

    ``construct(x, w, bits, clip)``: x (N, C, H, W) and w (F, C, KH, KW) float32; bits (1,) int32; clip (1,) float32.
    Gives Y (N, F, OH, OW), and x for what else reads it: gradients of both are added as one is written.

    Args:
        stride: in both directions, >= 1.
        padding: zeros on each side, >= 0.
        least_clip: a clip below it counts as that, and gets no gradient.
        forks: whether something else reads x; otherwise Y alone is the output.
    """

    def __init__(self, stride: int, padding: int, least_clip: float, forks: bool):
        super().__init__()
        self.geometry, self.forks = Tensor(np.array([stride, padding], np.int32)), forks
        self.least_clip = Tensor(np.array([least_clip], np.float32))
        self.forward_op = operator("QuantizedConvTrain", conv_shape(stride, padding), lambda x, *_: x)
        self.input_grad_op = clipped_input_gradient(f"QuantizedConvGradInput{'Add' if forks else ''}")
        self.weight_grad_op = operator("QuantizedConvGradWeight", lambda x, w, *_: w, lambda x, *_: x)

    def construct(self, x, w, bits, clip):
        y = self.forward_op(x, w, bits, clip, self.least_clip, self.geometry)
        return (y, x) if self.forks else y

    def bprop(self, x, w, bits, clip, out, dout):
        """Gradients for x, w and clip."""
        given, gradients = (x, w, bits, clip, self.least_clip), dout if self.forks else (dout,)
        grad_x, grad_clip = self.input_grad_op(*given, *gradients, self.geometry)
        return grad_x, self.weight_grad_op(*given, gradients[0], self.geometry), 0 * bits, grad_clip
