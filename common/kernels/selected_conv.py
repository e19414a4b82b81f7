"""A convolution of which each image takes one of several bit-widths, and only the chosen one is computed."""

import numpy as np
from mindspore import Tensor, nn

from common.kernels.conv import PlainConv2d
from common.kernels.custom import conv_shape, operator, use_native
from common.kernels.fake_quant import UniformQuantize


def _shape(stride: int, padding: int):
    """Shape inference: that of a convolution with the filters of one branch."""
    of_branch = conv_shape(stride, padding)

    def infer(x, w, *_):
        return of_branch(x, w[1:])

    infer.rule = of_branch.rule
    return infer


class _NativeSelectedConv2d(nn.Cell):
    """The C++ kernels; the result of an image does not depend on the others, nor sums on the number of threads."""

    def __init__(self, stride: int, padding: int):
        super().__init__()
        self.geometry = Tensor(np.array([stride, padding], np.int32))
        self.forward_op = operator("SelectedConv", _shape(stride, padding), lambda x, *_: x)
        self.input_grad_op = operator("SelectedConvGradInput", lambda x, *_: x, lambda x, *_: x)
        self.weight_grad_op = operator("SelectedConvGradWeight", lambda x, w, *_: w, lambda x, *_: x)
        self.mask_grad_op = operator("SelectedConvGradMask", lambda x, w, bits, clip, mask, *_: mask, lambda x, *_: x)
        self.quantize = UniformQuantize(learned_step=False, native=True)

    def construct(self, x, w, bits, clip, mask):
        return self.forward_op(x, w, bits, clip, mask, self.geometry)

    def bprop(self, x, w, bits, clip, mask, out, dout):
        """Gradients for x, w, clip and mask."""
        given = (x, w, bits, clip, mask)
        grad = self.input_grad_op(*given, dout, self.geometry)
        # Straight through the rounding, the gradients for x and clip depend on the clip alone, not on the bits.
        rows = (x.shape[0], 1, -1)
        grad_x, grad_clip, _ = self.quantize.grad_op(
            x.reshape(rows), bits[:1], clip, self.quantize.least_clip, grad.reshape(rows), self.quantize.settings
        )
        grad_w = self.weight_grad_op(*given, dout, self.geometry)
        grad_mask = self.mask_grad_op(*given, out, dout, self.geometry)
        return grad_x.reshape(x.shape), grad_w, 0 * bits, grad_clip, grad_mask


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
        A cell that gives (N, F, OH, OW), with gradients for x, w, clip and mask.
    """
    if use_native(native):
        return _NativeSelectedConv2d(stride, padding)
    return MaskedSelectedConv2d(PlainConv2d(stride, padding, 1), native=False)
