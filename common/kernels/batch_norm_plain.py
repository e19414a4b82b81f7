"""BatchNorm by the statistics of a batch or by given ones, several times faster on CPU than MindSpore 2.10's own."""

import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from common.kernels.custom import operator

_THREE = (mstype.float32,) * 3


class EvaluationGradient(nn.Cell):
    r"""Gradients of BatchNorm by given statistics, and of a ReLU after it, in one pass.

    .. math::
        \frac{\partial L}{\partial X} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}\,G, \qquad
        \frac{\partial L}{\partial \gamma} = \sum G\,\frac{X - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
        \frac{\partial L}{\partial \beta} = \sum G

    ``construct(x, y, dy, gamma, mean, variance, constants)``: x, y and dy (N, C, H, W), the others (C,), constants (2,)
    epsilon and the ReLU's limit l. G is dy, with a ReLU 0 outside of 0 < y < l; y is not read without one. Gives the
    gradients for x, gamma, beta and, 0, the statistics, in the order of the kernels' inputs. The same bits for any
    number of threads.

    Args:
        relu: whether a ReLU follows.
    """

    def __init__(self, relu: bool = False):
        super().__init__()
        self.has_relu = relu
        if relu:
            self.grad_op = operator("BatchNormReluEvaluateGrad", lambda x, y, gy, gamma, *_: (x, gamma, gamma), _three)
        else:
            self.grad_op = operator("BatchNormEvaluateGrad", lambda x, gy, gamma, *_: (x, gamma, gamma), _three)

    def construct(self, x, y, dy, gamma, mean, variance, constants):
        if self.has_relu:
            of_x, of_gamma, of_beta = self.grad_op(x, y, dy, gamma, mean, variance, constants)
        else:
            of_x, of_gamma, of_beta = self.grad_op(x, dy, gamma, mean, variance, constants)
        return of_x, of_gamma, of_beta, 0 * mean, 0 * variance


def _three(*_):
    return _THREE


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
        self.forward_op = operator("BatchNormTrain", lambda x, gamma, *_: (x, gamma, gamma), _three)
        self.grad_op = operator("BatchNormTrainGrad", lambda x, gy, gamma, *_: (x, gamma, gamma), _three)

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
        self.gradient = EvaluationGradient()

    def construct(self, x, gamma, beta, mean, variance):
        return self.forward_op(x, gamma, beta, mean, variance, self.eps)

    def bprop(self, x, gamma, beta, mean, variance, out, dout):
        """Gradients for x, gamma and beta."""
        return self.gradient(x, out, dout, gamma, mean, variance, self.eps)


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
