r"""Pruned weights: what is 0 in a float network is 0 in the quantized one, also where the levels have no 0.

Levels without a 0 (DoReFa's, sums of binary codes) put a pruned weight on the smallest level above 0; behind it a
BatchNorm that has only seen zeros divides by almost nothing. So in a layer with pruned weights 0 takes the place of
the LOWEST level, where only the tail of the weights is; weights there get the next level:

.. math:: y_i = \begin{cases} 0 & w_i \text{ pruned} \\ \max(Q(w_i), L_1) & \text{else} \end{cases}

with the levels :math:`L_0 < L_1 < \dots` of the quantizer Q. The number of levels stays, and layers without pruned
weights stay as they are. Pruned are weights of exactly 0 and, where all channels share a scale, dead channels: those
whose largest \|w\| is at most :math:`2^{-10}` of the layer's, less than half of a first level of 8 bits.
"""

import numpy as np
from mindspore import dtype as mstype
from mindspore import nn, ops

from common.kernels.custom import use_native
from common.kernels.keep_zeros import NativeKeepZeros
from common.quant.level_table import LevelTable, register

DEAD = 2.0**-10  # of the layer's largest |w|
_FAR = 1e30  # below all levels


def with_zero(table: LevelTable) -> LevelTable:
    """The table of layers with pruned weights, registered: 0 in the place of the lowest level, from 2 bits up."""

    def levels(bits: int) -> np.ndarray:
        plain = table.of_bits(bits)
        return plain if bits < 2 else np.sort(np.append(plain[1:], np.float32(0)))

    return register(LevelTable(f"{table.name}-zero", levels, table.widths))


def kept(weight: np.ndarray, shared_scale: bool = True) -> np.ndarray:
    """Which weights (F, ...) are not pruned, bool; ``shared_scale``: whether all channels have one scale."""
    if not shared_scale:
        return weight != 0
    largest = np.abs(weight).reshape(len(weight), -1).max(1)
    alive = ~(largest <= np.float32(DEAD) * largest.max())  # what is no number is no zero
    return (weight != 0) & alive.reshape(-1, *[1] * (weight.ndim - 1))


def keep_zeros(
    weight: np.ndarray, values: np.ndarray, lowest: np.ndarray | float, shared_scale: bool = True
) -> np.ndarray:
    """What :class:`KeptZeros` does, on arrays."""
    stays = kept(weight, shared_scale)
    return values if stays.all() else np.where(stays, np.maximum(values, np.float32(lowest)), np.float32(0))


class KeptZeros(nn.Cell):
    """Puts 0 in the place of the quantized values of pruned weights.

    ``construct(weight, values, lowest, keeps)``: weights (F, ...), their quantized values, the level L_1 of each
    channel or of all, (F,) or (1,), and int32 of the same kind, 0 for channels that do not take part, to the shape of
    ``weight``. The gradient passes straight through to the values of weights that are not pruned, and is 0 for pruned
    ones: they stay pruned in training.

    Args:
        shared_scale: whether all channels have one scale, so that one may be dead beside the others.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, shared_scale: bool = True, native: bool | None = None):
        super().__init__()
        kind = NativeKeepZeros if use_native(native) else _PlainKeptZeros
        self.kernel = kind(shared_scale)

    def construct(self, weight, values, lowest, keeps):
        return self.kernel(ops.stop_gradient(weight), values, ops.stop_gradient(lowest), keeps)


class _PlainKeptZeros(nn.Cell):
    """The same by MindSpore's operators."""

    def __init__(self, shared_scale: bool):
        super().__init__()
        self.shared_scale = shared_scale

    def construct(self, weight, values, lowest, keeps):
        stays = self._kept(weight)
        any_pruned = 1.0 - ops.amin(stays.astype(mstype.float32))  # 1 or 0
        floor = _per_row(lowest - _FAR * (1.0 - any_pruned), weight)
        zeroed = ops.select(stays, ops.maximum(values, floor), 0.0 * values)
        return ops.select(_per_row(keeps > 0, weight), zeroed, values)

    def bprop(self, weight, values, lowest, keeps, out, dout):
        """Gradients for the values alone."""
        passed = ops.logical_or(self._kept(weight), _per_row(keeps == 0, weight))
        return 0.0 * weight, dout * passed.astype(mstype.float32), 0.0 * lowest, 0 * keeps

    def _kept(self, weight):
        stays = weight != 0.0
        if self.shared_scale:
            largest = ops.amax(ops.abs(weight).reshape(weight.shape[0], -1), 1)
            alive = ops.logical_not(largest <= DEAD * ops.amax(largest))
            stays = ops.logical_and(stays, _per_row(alive, weight))
        return stays


def _per_row(values, weight):
    return values.reshape((-1,) + (1,) * (weight.ndim - 1))
