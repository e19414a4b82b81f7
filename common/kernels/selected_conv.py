"""A convolution of which each image takes one of several bit-widths, and only the chosen one is computed."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from common.kernels.conv import PlainConv2d
from common.kernels.custom import conv_shape, operator, use_native
from common.kernels.dorefa import NativeDoReFaWeights
from common.kernels.fake_quant import UniformQuantize


def _shape(stride: int, padding: int):
    """Shape inference: that of a convolution with the filters of one branch."""
    of_branch = conv_shape(stride, padding)

    def infer(x, w, *_):
        return of_branch(x, w[1:])

    infer.rule = of_branch.rule
    return infer


def _weight_gradient():
    """The operator of the gradient that the branches' weights have in common."""
    return operator("SelectedConvGradWeight", lambda x, w, *_: w[1:], lambda x, *_: x)


def _input_gradient(name: str):
    """The operator of the gradients for x and clip, and of the products of outputs and their gradients (N,)."""
    return operator(
        name, lambda x, w, bits, clip, *_: (x, clip, x[:1]), lambda *_: (mstype.float32, mstype.float32, mstype.float32)
    )


def _mask_gradient():
    return operator("SelectedConvGradMask", lambda x, w, bits, clip, mask, *_: mask, lambda x, *_: x)


class NativeSelectedConv2d(nn.Cell):
    """The C++ kernel of weights on their levels, such as those of frozen networks: :func:`selected_conv2d`."""

    def __init__(self, stride: int, padding: int):
        super().__init__()
        self.geometry = Tensor(np.array([stride, padding], np.int32))
        self.forward_op = operator("SelectedConv", _shape(stride, padding), lambda x, *_: x)
        self.input_grad_op = _input_gradient("SelectedConvGradInput")
        self.weight_grad_op, self.mask_grad_op = _weight_gradient(), _mask_gradient()

    def construct(self, x, w, bits, clip, mask):
        return self.forward_op(x, w, bits, clip, mask, self.geometry)

    def bprop(self, x, w, bits, clip, mask, out, dout):
        """Gradients for x, w, clip and mask; that for w takes a pass for each branch, which has its images alone."""
        given, ones = (x, w, bits, clip, mask), ops.ones(w.shape[0], mstype.float32)
        of_x, of_clip, products = self.input_grad_op(*given, dout, self.geometry)
        of_w = []
        for k in range(w.shape[0]):
            of_images = mask[:, k].reshape(-1, 1, 1, 1) * dout
            of_w.append(self.weight_grad_op(*given, ones, of_images, self.geometry))
        unknown = ops.zeros(w.shape[0], mstype.float32)  # of what steps the weights are multiples
        of_mask = self.mask_grad_op(*given, unknown, products, dout, self.geometry)
        return of_x, ops.stack(of_w), 0 * bits, of_clip, of_mask


class NativeDoReFaConv2d(nn.Cell):
    r"""The convolution of :func:`selected_conv2d` with DoReFa's weights at each width, and its gradients.

    .. math:: w_k = s_k\,Q_w(W; b_k)

    with :math:`Q_w` of :class:`~common.kernels.dorefa.NativeDoReFaWeights`. All branches have W in common, so its
    gradient is one sum over all images, in which each has the scale of its branch. In training the forward pass and
    the gradient for the mask are computed in integers, where the processor has instructions for them. The result of an
    image does not depend on the others, nor sums on the number of threads.

    ``construct(x, weight, bits, scale, clip, mask)``: x (N, C, H, W) float32; W (F, C, KH, KW) float32; bits (K,)
    int32; scale (K,) float32, without a gradient; clip (1,) float32, which below 0.001 counts as that and gets no
    gradient; mask (N, K) float32, one-hot rows.

    Gives Y (N, F, OH, OW), x for what else reads it, :math:`w_k` and tanh W. Of these Y and, if it forks, x have
    gradients: those of x and of what else reads it are added as one is written.

    Args:
        stride: in both directions, >= 1.
        padding: zeros on each side, >= 0.
        forks: whether something else reads x.
    """

    def __init__(self, stride: int, padding: int, forks: bool = False):
        super().__init__()
        self.geometry, self.forks = Tensor(np.array([stride, padding], np.int32)), forks
        self.weights = NativeDoReFaWeights()
        self.forward_op = operator("SelectedConv", _shape(stride, padding), lambda x, *_: x)
        self.train_op = operator("SelectedConvTrain", _shape(stride, padding), lambda x, *_: x)
        self.input_grad_op = _input_gradient(f"SelectedConvGradInput{'Add' if forks else ''}")
        self.weight_grad_op, self.mask_grad_op = _weight_gradient(), _mask_gradient()

    def construct(self, x, weight, bits, scale, clip, mask):
        w, tanh = self.weights(weight, bits, scale)
        if self.training:
            return self.train_op(x, w, bits, clip, mask, scale, self.geometry), x, w, tanh
        return self.forward_op(x, w, bits, clip, mask, self.geometry), x, w, tanh

    def bprop(self, x, weight, bits, scale, clip, mask, out, dout):
        """Gradients for x, W, clip and mask."""
        _, _, w, tanh = out
        given, gradients = (x, w, bits, clip, mask), dout[: 1 + self.forks]
        of_x, of_clip, products = self.input_grad_op(*given, *gradients, self.geometry)
        of_levels = self.weight_grad_op(*given, scale, dout[0], self.geometry)
        of_weight = self.weights.common_gradient(weight, tanh, of_levels)
        of_mask = self.mask_grad_op(*given, scale, products, dout[0], self.geometry)
        return of_x, of_weight, 0 * bits, 0 * scale, of_clip, of_mask


class MaskedSelectedConv2d(nn.Cell):
    """Any convolution: all branches are computed and all but one masked; arguments as :func:`selected_conv2d` says.

    Args:
        conv: cell of (x, w) with the weights of one branch.
        signed: whether inputs may be negative: their levels are then from -clip to clip.
        native: force (True) or forbid (False) the C++ quantizer; None chooses.
    """

    def __init__(self, conv: nn.Cell, signed: bool = False, native: bool | None = None):
        super().__init__()
        self.conv, self.signed = conv, signed
        self.quantize = UniformQuantize(learned_step=False, native=native)
        self.probe = Tensor(np.zeros(1, np.float32))

    def construct(self, x, w, bits, clip, mask):
        unsigned = 0.5 * (x + clip) if self.signed else x
        rows, y = unsigned.reshape(x.shape[0], 1, -1), None
        for k in range(w.shape[0]):
            q = self.quantize(rows, bits[k].reshape(1), clip, self.probe).reshape(x.shape)
            if self.signed:
                q = 2.0 * q - clip
            branch = mask[:, k].reshape(-1, 1, 1, 1) * self.conv(q, w[k])
            y = branch if y is None else y + branch
        return y


def selected_conv2d(stride: int = 1, padding: int = 0, native: bool | None = None) -> nn.Cell:
    r"""A convolution without parameters whose images choose among K bit-widths.

    .. math::
        Y_n = \sum_k m_{nk}\,\mathrm{conv}(Q(X_n; b_k, a), W_k), \qquad
        \partial m_{nk} = \langle \partial Y_n, \mathrm{conv}(Q(X_n; b_k, a), W_k) \rangle

    with Q and its gradients as :class:`~common.kernels.fake_quant.UniformQuantize` with ``learned_step=False``
    has them. The rows of the mask are one-hot, so Y and the gradients for X, W and a need the chosen branch only.

    ``construct(x, w, bits, clip, mask)``: x (N, C, H, W) float32; w (K, F, C, KH, KW) float32, each branch on its
    levels; bits (K,) int32, of the inputs; clip (1,) float32 > 0; mask (N, K) float32, one-hot rows.

    Args:
        stride: in both directions, >= 1.
        padding: zeros on each side, >= 0.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Returns:
        A cell that gives (N, F, OH, OW), with gradients for x, w, clip and mask. Training takes the faster
        :class:`NativeDoReFaConv2d`.
    """
    if use_native(native):
        return NativeSelectedConv2d(stride, padding)
    return MaskedSelectedConv2d(PlainConv2d(stride, padding, 1), native=False)
