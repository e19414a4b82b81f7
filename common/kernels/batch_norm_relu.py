"""BatchNorm with the ReLU that follows it, and with the shortcut that is added between them, in one pass each."""

import numpy as np
from mindspore import Tensor, nn
from mindspore import dtype as mstype

from common.kernels.batch_norm_plain import EvaluationGradient
from common.kernels.custom import operator

NO_LIMIT = float(np.finfo(np.float32).max)
_THREE, _FOUR = (mstype.float32,) * 3, (mstype.float32,) * 4


def _constants(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float32))


class BatchNormReluTrain(nn.Cell):
    r"""BatchNorm by the statistics of the batch and a ReLU with an upper limit.

    .. math:: Y = \min(\max(Z, 0), l), \quad Z = \gamma\,\frac{X - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    ``construct(x, gamma, beta)``: x (N, C, H, W) float32; gamma, beta (C,). Gives Y, mu and sigma^2, of which Y alone
    has a gradient: that of Z is 0 outside of 0 < Z <= l. The same bits for any number of threads.

    Args:
        eps: added to the variance, > 0.
        limit: l, above 0; 6 is ReLU6.
    """

    def __init__(self, eps: float, limit: float = NO_LIMIT):
        super().__init__()
        self.constants = _constants(eps, limit)
        self.forward_op = operator("BatchNormReluTrain", lambda x, gamma, *_: (x, gamma, gamma), lambda *_: _THREE)
        self.grad_op = operator("BatchNormReluTrainGrad", lambda x, gy, gamma, *_: (x, gamma, gamma), lambda *_: _THREE)

    def construct(self, x, gamma, beta):
        return self.forward_op(x, gamma, beta, self.constants)

    def bprop(self, x, gamma, beta, out, dout):
        """Gradients for x, gamma and beta."""
        _, mean, variance = out
        return self.grad_op(x, dout[0], gamma, beta, mean, variance, self.constants)


class BatchNormAddReluTrain(nn.Cell):
    r"""BatchNorm by the statistics of the batch, the sum with a shortcut and a ReLU, as residual blocks end.

    .. math:: Y = \max(Z + S, 0), \quad Z = \gamma\,\frac{X - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    ``construct(x, shortcut, gamma, beta)``: x and the shortcut S (N, C, H, W) float32; gamma, beta (C,). Gives Y, mu
    and sigma^2, of which Y alone has a gradient. The same bits for any number of threads.

    Args:
        eps: added to the variance, > 0.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.eps = _constants(eps)
        self.forward_op = operator(
            "BatchNormAddReluTrain", lambda x, shortcut, gamma, *_: (x, gamma, gamma), lambda *_: _THREE
        )
        self.grad_op = operator(
            "BatchNormAddReluTrainGrad", lambda x, y, gy, gamma, *_: (x, x, gamma, gamma), lambda *_: _FOUR
        )

    def construct(self, x, shortcut, gamma, beta):
        return self.forward_op(x, shortcut, gamma, beta, self.eps)

    def bprop(self, x, shortcut, gamma, beta, out, dout):
        """Gradients for x, the shortcut, gamma and beta."""
        y, mean, variance = out
        return self.grad_op(x, y, dout[0], gamma, mean, variance, self.eps)


class BatchNormReluEvaluate(nn.Cell):
    """:class:`BatchNormReluTrain` by given statistics: ``construct(x, gamma, beta, mean, variance)`` gives Y alone.

    The bits are those of MindSpore's operators one after the other; the statistics get no gradient.

    Args:
        eps: added to the variance, > 0.
        limit: of the ReLU, above 0.
    """

    def __init__(self, eps: float, limit: float = NO_LIMIT):
        super().__init__()
        self.constants = _constants(eps, limit)
        self.forward_op = operator("BatchNormReluEvaluate", lambda x, *_: x, lambda x, *_: x)
        self.gradient = EvaluationGradient(relu=True)

    def construct(self, x, gamma, beta, mean, variance):
        return self.forward_op(x, gamma, beta, mean, variance, self.constants)

    def bprop(self, x, gamma, beta, mean, variance, out, dout):
        """Gradients for x, gamma and beta."""
        return self.gradient(x, out, dout, gamma, mean, variance, self.constants)


class BatchNormAddReluEvaluate(nn.Cell):
    """:class:`BatchNormAddReluTrain` by given statistics: ``construct(x, shortcut, gamma, beta, mean, variance)``.

    Gives Y alone, with the bits of MindSpore's operators one after the other; the statistics get no gradient.

    Args:
        eps: added to the variance, > 0.
    """

    def __init__(self, eps: float):
        super().__init__()
        self.constants = _constants(eps)
        self.forward_op = operator("BatchNormAddReluEvaluate", lambda x, *_: x, lambda x, *_: x)
        self.gradient = EvaluationGradient()

    def construct(self, x, shortcut, gamma, beta, mean, variance):
        return self.forward_op(x, shortcut, gamma, beta, mean, variance, self.constants)

    def bprop(self, x, shortcut, gamma, beta, mean, variance, out, dout):
        """Gradients for x, the shortcut, gamma and beta."""
        gradient = dout * (out > 0).astype(dout.dtype)
        of_x, *others = self.gradient(x, out, gradient, gamma, mean, variance, self.constants)
        return of_x, gradient, *others
