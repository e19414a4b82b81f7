r"""Random numbers that a saved network continues: a function of seed, draw and place, its counter a parameter.

MindSpore's own generators keep their state outside of the network, so a training that is stopped and resumed would go
on with other numbers. Here the number in place i of draw c is a hash of (seed, c, i): the same on every device, in both
execution modes, whatever the number of threads. Of several processes each takes the places of its part of the batch.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from common import distributed
from common.kernels.counter_noise import WORD, CounterHash


class CounterNoise(nn.Cell):
    """Uniform numbers in (0, 1): ``construct(count)`` gives float32 (count,), others in each call.

    Args:
        seed: seed of the numbers, 0 to 2^32 - 1.
        stream: number that tells generators of one seed apart, 0 to 2^16 - 1.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Attributes:
        state: the word of seed and stream, and the number of draws so far; int64 (2,), not trained.
    """

    def __init__(self, seed: int, stream: int = 0, native: bool | None = None):
        super().__init__()
        word = (seed * 0x9E3779B1 + stream * 0x85EBCA6B) % WORD
        self.state = Parameter(Tensor(np.array([word, 0], np.int64)), requires_grad=False)
        self.step, self.process = Tensor(np.array([0, 1], np.int64)), distributed.rank()
        self.hash = CounterHash(native)

    def construct(self, count):
        state = self.state.value()
        places = ops.arange(self.process * count, (self.process + 1) * count, 1).astype(mstype.int64)
        numbers = self.hash(state, places)
        # After the draw: an operator of ours may read the parameter where it is.
        ops.assign(self.state, ops.depend(state, numbers) + self.step)
        return numbers


class Dropout(nn.Cell):
    """Zeroes each value with probability ``rate`` and scales the others by 1 / (1 - rate); in evaluation the identity.

    ``construct(x)``: any shape.

    Args:
        rate: probability of a zero, 0 <= rate < 1.
        seed: seed of the noise.
    """

    def __init__(self, rate: float, seed: int):
        super().__init__()
        self.rate, self.noise = rate, CounterNoise(seed, stream=1)

    def construct(self, x):
        if not self.training:
            return x
        kept = (self.noise(x.size) >= self.rate).astype(mstype.float32).reshape(x.shape)
        return x * kept / (1 - self.rate)
