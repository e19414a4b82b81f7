r"""Random numbers that a saved network continues: a function of seed, draw and place, its counter a parameter.

MindSpore's own generators keep their state outside of the network, so a training that is stopped and resumed would go
on with other numbers. Here the number in place i of draw c is a hash of (seed, c, i) of 32-bit words, in int64 so that
no product overflows: the same on every device, in both execution modes, whatever the number of threads. Of several
processes each takes the places of its part of the batch.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from common import distributed

_WORD = 2**32
_HALF = 2**16
_MULTIPLIERS = (0x7FEB352D, 0x2C1B3C6D, 0x297A2D39)  # odd and below 2^31: a product with a word stays below 2^63
_STRIDE = 0x1E3779B1  # between places; odd, so that 2^32 places have different words
_BITS = 23  # of a number; (2^23 - 0.5) / 2^23 is a float32 below 1


def _mix(word):
    """Scramble words in [0, 2^32), int64 of any shape, one to one."""
    for multiplier in _MULTIPLIERS:
        word = ops.bitwise_xor(word, word // _HALF) * multiplier % _WORD
    return ops.bitwise_xor(word, word // _HALF)


class CounterNoise(nn.Cell):
    """Uniform numbers in (0, 1): ``construct(count)`` gives float32 (count,), others in each call.

    Args:
        seed: seed of the numbers, 0 to 2^32 - 1.
        stream: number that tells generators of one seed apart, 0 to 2^16 - 1.

    Attributes:
        state: the word of seed and stream, and the number of draws so far; int64 (2,), not trained.
    """

    def __init__(self, seed: int, stream: int = 0):
        super().__init__()
        word = (seed * 0x9E3779B1 + stream * 0x85EBCA6B) % _WORD
        self.state = Parameter(Tensor(np.array([word, 0], np.int64)), requires_grad=False)
        self.step, self.process = Tensor(np.array([0, 1], np.int64)), distributed.rank()

    def construct(self, count):
        state = self.state.value()
        key = _mix((_mix(state[0]) + state[1]) % _WORD)
        ops.assign(self.state, state + self.step)
        places = ops.arange(self.process * count, (self.process + 1) * count, 1).astype(mstype.int64)
        words = _mix((key + places * _STRIDE) % _WORD)
        return ((words // 2 ** (32 - _BITS)).astype(mstype.float32) + 0.5) / 2**_BITS


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
