"""Cells that compute over the batches of all processes as one process would over the whole batch."""

from collections.abc import Callable

from mindspore import nn, ops

from common import distributed


class Sum(nn.Cell):
    """The sum of a tensor over all processes, with its gradient; of one process the tensor itself."""

    def __init__(self):
        super().__init__()
        self.reduce = ops.AllReduce() if distributed.size() > 1 else None

    def construct(self, x):
        return x if self.reduce is None else self.reduce(x)


class MeanGradients(nn.Cell):
    """Gradients of the mean loss over all processes, from those of each process's mean: a tuple to a tuple.

    They travel as one tensor, in one exchange instead of one for each parameter.
    """

    def __init__(self):
        super().__init__()
        self.reduce, self.share = ops.AllReduce(), 1.0 / distributed.size()

    def construct(self, gradients):
        parts = ()
        for gradient in gradients:
            parts += (gradient.reshape(-1),)
        flat, start, means = self.reduce(ops.concat(parts)) * self.share, 0, ()
        for gradient in gradients:
            means += (flat[start : start + gradient.size].reshape(gradient.shape),)
            start += gradient.size
        return means


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes: (N, C, H, W) to the same shape; in evaluation as its parent.

    Args:
        num_features: number of channels C.
        own: makes, of epsilon, the cell that takes the parent's place, as
            :class:`common.kernels.batch_norm_plain.OwnBatchNorm`; None: MindSpore's operators.
        options: of ``nn.BatchNorm2d``.

    Attributes:
        alone: whether it is over this process's batch, as its parent; to be set in PYNATIVE mode.
    """

    def __init__(self, num_features: int, own: Callable[[float], nn.Cell] | None = None, **options):
        super().__init__(num_features, **options)
        self.own = None if own is None else own(self.eps)
        self.sum, self.processes, self.alone = Sum(), distributed.size(), False

    def construct(self, x):
        if self.alone or not self.training:
            if self.own is not None:
                return self.own(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)
            return super().construct(x)
        count = x.shape[0] * x.shape[2] * x.shape[3] * self.processes
        mean = self.sum(x.sum((0, 2, 3))) / count
        centered = x - mean.reshape(1, -1, 1, 1)
        variance = self.sum((centered * centered).sum((0, 2, 3))) / count
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (count / (count - 1)))
        scale = self.gamma * ops.rsqrt(variance + self.eps)
        return centered * scale.reshape(1, -1, 1, 1) + self.beta.reshape(1, -1, 1, 1)

    def _follow(self, moving, batch_statistic):
        """MindSpore keeps 1 minus the momentum it is given, as PyTorch does."""
        ops.assign(moving, moving + self.momentum * (ops.stop_gradient(batch_statistic) - moving))
