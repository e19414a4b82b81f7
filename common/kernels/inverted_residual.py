"""An inverted residual block in one operator: networks in evaluation on CPU."""

import numpy as np
from mindspore import Tensor, nn

from common.kernels.conv import NativeFloatConv
from common.kernels.conv_norm import ConvNorm
from common.kernels.custom import conv_shape, operator


class ConvDepthwiseProject(nn.Cell):
    r"""A convolution, a depthwise one and one of 1 x 1, by given statistics of their norms, a ReLU after the first two.

    .. math::
        Y = B_3(P * \rho_2(B_2(D * \rho_1(B_1(W * X))))) \;[+ X], \qquad
        B(Z) = \gamma\,\frac{Z - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta, \quad \rho(Z) = \min(\max(Z, 0), l)

    The bits of one layer after the other where Y has at least 4 rows, else up to the last
    ones; what is between the convolutions never leaves the cache.

    ``construct(x, *layers)``: x (N, C, H, W); for each of the three convolutions its weights, gamma, beta, mean,
    variance and constants (2,) epsilon and l, of which the last l is not read; weights (K, C, KH, KW), (K, 1, KH, KW)
    and (F, K, 1, 1), all float32. Gives (N, F, OH, OW). Gradients for x, weights, gammas and betas.

    Args:
        first: the first convolution, of one group.
        depthwise: the second.
        adds: whether X is added; it then has the shape of Y.
    """

    def __init__(self, first: NativeFloatConv, depthwise: NativeFloatConv, adds: bool):
        super().__init__()
        self.first, self.depthwise, self.project = ConvNorm(first, True), ConvNorm(depthwise, True), _projection()
        self.adds = adds
        sizes = [first.stride, first.padding, depthwise.stride, depthwise.padding]
        self.sizes, self.geometry = tuple(sizes), Tensor(np.array([*sizes, adds], np.int32))
        between, after = conv_shape(first.stride, first.padding), conv_shape(depthwise.stride, depthwise.padding)

        def shape(x, *layers):
            hidden = after(between(x, layers[0]), layers[6])
            return [x[0], layers[12][0], *hidden[2:]]

        shape.rule = f"{between.rule}, then {after.rule}"
        self.forward_op = operator("InvertedResidualForward", shape, lambda x, *_: x)

    def construct(self, x, *layers):
        return self.forward_op(x, *layers, self.geometry)

    # GRAPH mode takes no ``*layers`` here.
    # fmt: off
    def bprop(
        self, x, w1, gamma1, beta1, mean1, variance1, constants1, w2, gamma2, beta2, mean2, variance2, constants2,
        w3, gamma3, beta3, mean3, variance3, constants3, out, dout,
    ):
        """Gradients for x, the weights, gammas and betas."""
        first = (w1, gamma1, beta1, mean1, variance1, constants1)
        second = (w2, gamma2, beta2, mean2, variance2, constants2)
        third = (w3, gamma3, beta3, mean3, variance3, constants3)
        # fmt: on
        hidden = self.first(x, *first)
        filtered = self.depthwise(hidden, *second)
        of_filtered = self.project.bprop(filtered, *third, dout, dout)
        of_hidden = self.depthwise.bprop(hidden, *second, filtered, of_filtered[0])
        of_x = self.first.bprop(x, *first, hidden, of_hidden[0])
        whole = of_x[0] + dout if self.adds else of_x[0]
        return (whole, *of_x[1:], *of_hidden[1:], *of_filtered[1:])


def _projection() -> ConvNorm:
    return ConvNorm(NativeFloatConv(1, 0, 1), False)
