"""A convolution with the BatchNorm and the activation after it, in one operator: networks in evaluation on CPU."""

from mindspore import nn

from common.kernels.batch_norm_plain import EvaluationGradient
from common.kernels.conv import NativeFloatConv
from common.kernels.custom import conv_shape, operator


class ConvNorm(nn.Cell):
    r"""Convolution and BatchNorm by given statistics, and a ReLU if asked for; the bits of one after the other.

    .. math::
        Y = Z \quad\text{or}\quad \min(\max(Z, 0), l), \qquad
        Z = \gamma\,\frac{X * W - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    ``construct(x, w, gamma, beta, mean, variance, constants)``: x (N, C, H, W), w (F, C, KH, KW) or depthwise
    (F, 1, KH, KW), the others (F,), constants (2,) epsilon and l, all float32; gives (N, F, OH, OW). Gradients for x,
    w, gamma and beta.

    Args:
        conv: the convolution; of one group, or depthwise.
        relu: whether the ReLU follows.
    """

    def __init__(self, conv: NativeFloatConv, relu: bool):
        super().__init__()
        self.conv, self.gradient = conv, EvaluationGradient(relu)
        self.forward_op = operator(
            "ConvNormRelu" if relu else "ConvNorm", conv_shape(conv.stride, conv.padding), lambda x, *_: x
        )

    def construct(self, x, w, gamma, beta, mean, variance, constants):
        return self.forward_op(x, w, gamma, beta, mean, variance, constants, self.conv.geometry)

    def bprop(self, x, w, gamma, beta, mean, variance, constants, out, dout):
        """Gradients for x, w, gamma and beta."""
        y = self.conv.forward_op(x, w, self.conv.geometry)
        of_y, *of_norm = self.gradient(y, out, dout, gamma, mean, variance, constants)
        of_x = self.conv.input_grad_op(x, w, of_y, self.conv.geometry)
        of_w = self.conv.weight_grad_op(x, w, of_y, self.conv.geometry)
        return of_x, of_w, *of_norm, 0 * constants


class ConvNormAddRelu(nn.Cell):
    r"""Convolution, BatchNorm by given statistics, the sum with a shortcut S and a ReLU: :math:`Y = \max(Z + S, 0)`.

    ``construct(x, w, shortcut, gamma, beta, mean, variance, constants)``: as :class:`ConvNorm`, the shortcut
    (N, F, OH, OW); a gradient for it too.

    Args:
        conv: the convolution; of one group, or depthwise.
    """

    def __init__(self, conv: NativeFloatConv):
        super().__init__()
        self.conv, self.gradient = conv, EvaluationGradient()
        self.forward_op = operator("ConvNormAddRelu", conv_shape(conv.stride, conv.padding), lambda x, *_: x)

    def construct(self, x, w, shortcut, gamma, beta, mean, variance, constants):
        return self.forward_op(x, w, shortcut, gamma, beta, mean, variance, constants, self.conv.geometry)

    def bprop(self, x, w, shortcut, gamma, beta, mean, variance, constants, out, dout):
        """Gradients for x, w, the shortcut, gamma and beta."""
        dout = dout * (out > 0).astype(dout.dtype)
        y = self.conv.forward_op(x, w, self.conv.geometry)
        of_y, *of_norm = self.gradient(y, out, dout, gamma, mean, variance, constants)
        of_x = self.conv.input_grad_op(x, w, of_y, self.conv.geometry)
        of_w = self.conv.weight_grad_op(x, w, of_y, self.conv.geometry)
        return of_x, of_w, dout, *of_norm, 0 * constants
