"""Uniform random numbers as a function of seed, draw and place, of which a network saves the first two."""

from mindspore import dtype as mstype
from mindspore import nn, ops

from common.kernels.custom import operator, use_native

WORD = 2**32
_HALF = 2**16
_MULTIPLIERS = (0x7FEB352D, 0x2C1B3C6D, 0x297A2D39)  # odd and below 2^31: a product with a word stays below 2^63
_STRIDE = 0x1E3779B1  # between places; odd, so that 2^32 places have different words
_BITS = 23  # of a number; (2^23 - 0.5) / 2^23 is a float32 below 1


class CounterHash(nn.Cell):
    """Uniform numbers in (0, 1): ``construct(state, places)`` gives float32 (N,), the same on every device.

    A number is a hash of 32-bit words. MindSpore's operators take it in int64, so that no product overflows.

    ``state``: int64 (2,), the word of the seed, below 2^32, and the number of the draw; ``places``: int64 (N,).

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, native: bool | None = None):
        super().__init__()
        self.op = None
        if use_native(native):
            self.op = operator("CounterNoise", lambda state, places: places, mstype.float32)

    def construct(self, state, places):
        if self.op is not None:
            return self.op(state, places)
        key = _mix(_low(_mix(state[0]) + state[1]))
        words = _mix(_low(key + places * _STRIDE))
        return ((words // 2 ** (32 - _BITS)).astype(mstype.float32) + 0.5) / 2**_BITS


def _low(word):
    """The lower 32 bits. MindSpore's remainder of int64 goes through float64, which has 53 bits."""
    return ops.bitwise_and(word, WORD - 1)


def _mix(word):
    """Scramble words in [0, 2^32), int64 of any shape, one to one."""
    for multiplier in _MULTIPLIERS:
        word = _low(ops.bitwise_xor(word, word // _HALF) * multiplier)
    return ops.bitwise_xor(word, word // _HALF)
