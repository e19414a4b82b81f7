"""``nn.BatchNorm2d`` computed by our own kernels on CPU."""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from common.kernels.batch_norm_plain import BatchNormEvaluate, BatchNormTrain
from common.kernels.batch_norm_relu import (
    NO_LIMIT,
    BatchNormAddReluEvaluate,
    BatchNormAddReluTrain,
    BatchNormReluEvaluate,
    BatchNormReluTrain,
)
from common.kernels.custom import operator


class NativeBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` with its parameters, computed by our own kernels: (N, C, H, W) to the same shape.

    Moving statistics follow those of the batches as its parent's do: the variance corrected by count / (count - 1).
    :meth:`relu`, :meth:`relu6` and :meth:`add_relu` compute what follows in the same passes over memory.
    """

    def __init__(self, num_features: int, **options):
        super().__init__(num_features, **options)
        self.together = True
        self.constants = Tensor(np.array([self.eps, NO_LIMIT], np.float32))
        self.constants6 = Tensor(np.array([self.eps, 6], np.float32))
        self.pace = Tensor(np.array([self.momentum], np.float32))  # 1 minus the momentum that MindSpore is given
        kinds = (mstype.float32, mstype.float32)
        self.follow_op = operator("FollowMoments", lambda x, mean, *_: (mean, mean), lambda *_: kinds)
        self.train_kernel, self.evaluate_kernel = BatchNormTrain(self.eps), BatchNormEvaluate(self.eps)
        self.relu_train_kernel = BatchNormReluTrain(self.eps)
        self.relu_evaluate_kernel = BatchNormReluEvaluate(self.eps)
        self.relu6_train_kernel = BatchNormReluTrain(self.eps, 6.0)
        self.relu6_evaluate_kernel = BatchNormReluEvaluate(self.eps, 6.0)
        self.add_relu_train_kernel = BatchNormAddReluTrain(self.eps)
        self.add_relu_evaluate_kernel = BatchNormAddReluEvaluate(self.eps)

    @property
    def joins(self) -> bool:
        """Whether what follows may be computed together with it: nobody wants to see it alone."""
        return self.together and not self._forward_pre_hook and not self._forward_hook

    def statistics(self):
        """gamma, beta, moving mean and moving variance."""
        return self.gamma, self.beta, self.moving_mean, self.moving_variance

    def construct(self, x):
        if not self.training:
            return self.evaluate_kernel(x, *self.statistics())
        return self._followed(x, self.train_kernel(x, self.gamma, self.beta))

    def relu(self, x):
        """ReLU of BatchNorm of x, (N, C, H, W) to the same shape."""
        if not self.training:
            return self.relu_evaluate_kernel(x, *self.statistics())
        return self._followed(x, self.relu_train_kernel(x, self.gamma, self.beta))

    def relu6(self, x):
        """ReLU that ends at 6 of BatchNorm of x, (N, C, H, W) to the same shape."""
        if not self.training:
            return self.relu6_evaluate_kernel(x, *self.statistics())
        return self._followed(x, self.relu6_train_kernel(x, self.gamma, self.beta))

    def add_relu(self, x, shortcut):
        """ReLU of the sum of BatchNorm of x and a shortcut, all (N, C, H, W)."""
        if not self.training:
            return self.add_relu_evaluate_kernel(x, shortcut, *self.statistics())
        return self._followed(x, self.add_relu_train_kernel(x, shortcut, self.gamma, self.beta))

    def _followed(self, x, trained):
        """The output of a training kernel, whose statistics of the batch x the moving ones follow."""
        y, mean, variance = trained
        batch = ops.stop_gradient(x), ops.stop_gradient(mean), ops.stop_gradient(variance)
        moving = self.follow_op(*batch, self.moving_mean.value(), self.moving_variance.value(), self.pace)
        ops.assign(self.moving_mean, moving[0])
        ops.assign(self.moving_variance, moving[1])
        return y
