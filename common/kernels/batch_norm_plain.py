"""BatchNorm by the statistics of a batch or by given ones, several times faster on CPU than MindSpore 2.10's own."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from common.kernels.custom import operator


def evaluation_gradients(x, gradient, gamma, mean, variance, eps):
    """Gradients of BatchNorm by given statistics for x, gamma, beta and, 0, the statistics; ``gradient``: that of Y."""
    inverse = ops.rsqrt(variance + eps)
    normal = (x - mean.reshape(1, -1, 1, 1)) * inverse.reshape(1, -1, 1, 1)
    of_x = gradient * (gamma * inverse).reshape(1, -1, 1, 1)
    return of_x, (gradient * normal).sum((0, 2, 3)), gradient.sum((0, 2, 3)), 0 * mean, 0 * variance


class BatchNormTrain(nn.Cell):
    r"""BatchNorm by the statistics of the batch (Ioffe & Szegedy, ICML 2015, algorithm 1).

    .. math:: Y = \gamma\,\frac{X - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    ``construct(x, gamma, beta)``: x (N, C, H, W) float32; gamma, beta (C,). Gives Y, mu and sigma^2 (the mean square,
    not corrected), of which Y alone has a gradient. The same bits for any number of threads.

    Args:
        eps: added to the variance, > 0.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.eps = Tensor(np.array([eps], np.float32))
        kinds = (mstype.float32, mstype.float32, mstype.float32)
        self.forward_op = operator("BatchNormTrain", lambda x, gamma, *_: (x, gamma, gamma), lambda *_: kinds)
        self.grad_op = operator("BatchNormTrainGrad", lambda x, gy, gamma, *_: (x, gamma, gamma), lambda *_: kinds)

    def construct(self, x, gamma, beta):
        return self.forward_op(x, gamma, beta, self.eps)

    def bprop(self, x, gamma, beta, out, dout):
        """Gradients for x, gamma and beta."""
        _, mean, variance = out
        return self.grad_op(x, dout[0], gamma, mean, variance, self.eps)


class BatchNormEvaluate(nn.Cell):
    r"""BatchNorm by given statistics, with the bits of MindSpore's own operator.

    ``construct(x, gamma, beta, mean, variance)``: x (N, C, H, W) float32, the others (C,). Gives Y as
    :class:`BatchNormTrain` has it; the statistics get no gradient.

    Args:
        eps: added to the variance, > 0.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.eps = Tensor(np.array([eps], np.float32))
        self.forward_op = operator("BatchNormEvaluate", lambda x, *_: x, lambda x, *_: x)

    def construct(self, x, gamma, beta, mean, variance):
        return self.forward_op(x, gamma, beta, mean, variance, self.eps)

    def bprop(self, x, gamma, beta, mean, variance, out, dout):
        """Gradients for x, gamma and beta."""
        return evaluation_gradients(x, dout, gamma, mean, variance, self.eps)


class OwnBatchNorm(nn.Cell):
    """BatchNorm by a batch's statistics in training, else by those given; none are followed.

    ``construct(x, gamma, beta, mean, variance)``: x (N, C, H, W) float32, the others (C,); gives Y.

    Args:
        eps: added to the variance, > 0.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.train_kernel, self.evaluate_kernel = BatchNormTrain(eps), BatchNormEvaluate(eps)

    def construct(self, x, gamma, beta, mean, variance):
        if self.training:
            return self.train_kernel(x, gamma, beta)[0]
        return self.evaluate_kernel(x, gamma, beta, mean, variance)
