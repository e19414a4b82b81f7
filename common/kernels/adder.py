"""Adder convolutions: the L1 distance in place of the inner product (AdderNet, Chen et al., CVPR 2020)."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from common.distributed.collective import Sum
from common.kernels import adder_fallback as fallback
from common.kernels.custom import conv_shape, operator, use_native


class AdderConv2d(nn.Cell):
    r"""Float adder convolution with AdderNet's gradients.

    .. math::
        Y_{n,f,i,j} &= -\sum_{c,u,v} |X_{n,c,is+u,js+v} - W_{f,c,u,v}| \qquad (1)

        \partial W &= \tfrac{\sqrt{|W|}}{5\,\lVert g\rVert_2}\, g,\quad g = \sum_{n,i,j} (X - W)\,\partial Y
        \qquad (5, 12, 13)

        \partial X &= \sum_{f,u,v} \mathrm{clip}(W - X, -1, 1)\,\partial Y \qquad (6, 7)

    X is zero outside the image. ``construct(x, w)``: (N, C, H, W) and (F, C, KH, KW) to (N, F, OH, OW), float32.
    Of several processes :math:`\partial W` is that of their whole batch, the same in all. On CPU the C++ kernel runs,
    elsewhere or with ``native=False`` MindSpore's own operators; both in GRAPH and PYNATIVE mode.

    Args:
        stride: step of the window in both directions, >= 1.
        padding: zeros on each side, >= 0.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, stride: int = 1, padding: int = 0, native: bool | None = None):
        super().__init__()
        self.stride, self.padding = stride, padding
        self.native, self.sum = use_native(native), Sum()
        if self.native:
            self.geometry = Tensor(np.array([stride, padding], np.int32))
            self.forward_op = operator("AdderForward", conv_shape(stride, padding), lambda x, *_: x)
            self.input_grad_op = operator("AdderGradInput", lambda x, *_: x, lambda x, *_: x)
            self.weight_grad_op = operator("AdderGradWeight", lambda x, w, *_: w, lambda x, w, *_: w)
            self.rescale_op = operator("AdderRescale", lambda gradient: gradient, lambda gradient: gradient)

    def construct(self, x, w):
        if self.native:
            return self.forward_op(x, w, self.geometry)  # (N, F, OH, OW)
        return fallback.adder_forward(x, w, self.stride, self.padding)

    def bprop(self, x, w, out, dout):
        """Gradients of the loss for x (clipped difference) and w (full difference, rescaled)."""
        # Adaptive rescaling: every layer learns at the same pace whatever the size of its gradient (eta = 0.2). It is
        # not linear: the gradient of the whole batch is rescaled, not that of each process's part.
        if self.native:
            grad_x = self.input_grad_op(x, w, dout, self.geometry)
            grad_w = self.weight_grad_op(x, w, dout, self.geometry)
            return grad_x, self.rescale_op(self.sum(grad_w))
        grad_x = fallback.adder_grad_input(x, w, dout, self.stride, self.padding)
        grad_w = fallback.adder_grad_weight(x, w, dout, self.stride, self.padding)
        return grad_x, fallback.rescaled(self.sum(grad_w))


class ForkedAdderConv2d(nn.Cell):
    """An adder convolution and its input, for what else reads that: gradients of both are added as one is written.

    ``construct(x, w)`` gives Y as :class:`AdderConv2d` does, and X.

    Args:
        conv: the convolution, of the C++ kernel.
    """

    def __init__(self, conv: AdderConv2d):
        super().__init__()
        self.conv = conv
        self.input_grad_op = operator("AdderGradInputAdd", lambda x, *_: x, lambda x, *_: x)

    def construct(self, x, w):
        return self.conv.forward_op(x, w, self.conv.geometry), x

    def bprop(self, x, w, out, dout):
        """Gradients of the loss for x and w."""
        grad_x = self.input_grad_op(x, w, dout[0], dout[1], self.conv.geometry)
        grad_w = self.conv.weight_grad_op(x, w, dout[0], self.conv.geometry)
        return grad_x, self.conv.rescale_op(self.conv.sum(grad_w))


class AdderInt8(nn.Cell):
    r"""Integer adder convolution on unsigned bytes, with input quantization before and an affine map after it.

    .. math::
        Q^g &= \mathrm{round}(\mathrm{clip}(X / s_g, 0, q_{max})) \quad\text{(half to even)}

        S_{n,f,i,j} &= \sum_{c,u,v} |Q^{g(f)}_{n,c,is+u,js+v} - K_{f,c,u,v}|

        Y_{n,f,i,j} &= a_f (S_{n,f,i,j} - o_f) + b_f \;(+ R_{n,f,i,j}) \;(\text{then } \max(Y, 0))

    S is exact for up to 65,793 operands per output (float32 holds integers to 2^24).

    ``construct(x, codes, group, steps, qmax, affine, residual)``: x (N, C, H, W) float32; codes (F, C, KH, KW) uint8;
    group (F,) uint8, the group of each filter; steps (G,) float32 > 0; qmax (1,) float32, at most 255; affine (3, F)
    float32, rows a, b and o, the last of integers; residual (N, F, OH, OW) or None. Returns (N, F, OH, OW) float32.
    Inference only.

    Args:
        stride: step of the window in both directions.
        padding: zeros on each side.
        relu: whether the result is clipped at 0.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, stride: int = 1, padding: int = 0, relu: bool = False, native: bool | None = None):
        super().__init__()
        self.stride, self.padding, self.relu = stride, padding, relu
        self.native = use_native(native)
        if self.native:
            self.settings = Tensor(np.array([stride, padding, 0, relu], np.int32))
            self.residual_settings = Tensor(np.array([stride, padding, 1, relu], np.int32))
            self.op = operator("AdderInt8", conv_shape(stride, padding), lambda x, *_: x)
        self.no_residual = Tensor(np.zeros(1), mstype.float32)

    def construct(self, x, codes, group, steps, qmax, affine, residual=None):
        if not self.native:
            return self._fallback(x, codes, group, steps, qmax, affine, residual)
        if residual is None:
            return self.op(x, codes, group, steps, qmax, affine, self.no_residual, self.settings)
        return self.op(x, codes, group, steps, qmax, affine, residual, self.residual_settings)

    def _fallback(self, x, codes, group, steps, qmax, affine, residual):
        sums = fallback.grouped_adder_sums(x, codes, group, steps, qmax, self.stride, self.padding)
        a, b, offset = (row.reshape(1, -1, 1, 1) for row in (affine[0], affine[1], affine[2]))
        y = a * (sums - offset) + b
        if residual is not None:
            y = y + residual
        return ops.relu(y) if self.relu else y
