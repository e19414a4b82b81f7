r"""Discrete choices that can be trained: hard one-hot forward, the softmax's gradient backward (Jang et al., 2017)."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from DynamicQuant.noise import CounterNoise

# -log u of the largest u below 1. MindSpore's vectorised logarithm rounds it to 0, of which the noise would be infinite
# and the softmax no number: once in eight million draws.
_LEAST = 2.0**-24


def one_hot(scores):
    """A 1 at the largest score of the last axis, the first of equal ones: scores (..., K) to float32 of 0 and 1."""
    index = ops.argmax(scores, dim=-1).astype(mstype.int32)
    return (ops.expand_dims(index, -1) == ops.arange(0, scores.shape[-1], 1).astype(mstype.int32)).astype(
        mstype.float32
    )


class _StraightThrough(nn.Cell):
    """``construct(soft, hard)`` is hard, exactly; the gradient goes to soft."""

    def construct(self, soft, hard):
        return hard

    def bprop(self, soft, hard, out, dout):
        """The gradient as if hard were soft."""
        return dout, 0 * hard


class Choice(nn.Cell):
    """The most likely candidate: ``construct(scores)``, (N, L, K) to one-hot float32; ties go to the first."""

    def construct(self, scores):
        return one_hot(scores)


class GumbelSoftmax(nn.Cell):
    r"""Straight-through Gumbel-softmax; in evaluation the argmax, without noise.

    .. math::
        s = \mathrm{softmax}((z + a g) / \tau),\quad g = -\log(-\log u),\ u \sim U(0, 1), \qquad
        m = \mathrm{onehot}(\arg\max s), \qquad \partial s = \partial m

    ``construct(scores)``: z (N, L, K) to m, one-hot float32. Ties go to the first candidate, the one of fewest bits.

    Args:
        temperature: tau of the softmax, > 0.
        seed: seed of the noise; the number of draws is saved with the network.

    Attributes:
        level: level a of the noise, float32 (1,), not trained; 1 is the paper's, at 0 training chooses as evaluation.
    """

    def __init__(self, temperature: float = 1.0, seed: int = 0):
        super().__init__()
        self.temperature, self.noise = temperature, CounterNoise(seed)
        self.level = Parameter(Tensor(np.ones(1, np.float32)), requires_grad=False)
        self.straight_through = _StraightThrough()

    def construct(self, scores):
        if not self.training:
            return one_hot(scores)
        exponential = ops.maximum(-ops.log(self.noise(scores.size)), _LEAST)
        gumbel = -ops.log(exponential).reshape(scores.shape)
        soft = ops.softmax((scores + self.level.value() * gumbel) / self.temperature, -1)
        return self.straight_through(soft, ops.stop_gradient(one_hot(soft)))
