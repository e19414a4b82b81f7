"""A layer's weights in the order in which its kernel reads them, and its table of blocks.

Weights: [group of 16 filters][step][16 filters][4 taps]; AVX-512 takes the 64 bytes of a step as one register, AVX2 as
two of 8 filters. Taps follow the memory of the codes: row, column, channel of the kernel.
"""

from dataclasses import dataclass

import numpy as np

from common.engine.bounds import check_sums
from common.engine.layout import GROUP, STEP_TAPS, padded
from common.engine.limbs import Limb, limbs_of
from common.errors import QuantizationError

_HALF = 2**15


@dataclass(frozen=True, eq=False)
class PackedConv:
    """What a kernel reads.

    Attributes:
        weights: int8, flat.
        blocks: int32, flat: (multiplier, number of runs, then offset and steps of each run) of each block.
        count: of the blocks.
        largest: size of the largest sum that can occur.
    """

    weights: np.ndarray
    blocks: np.ndarray
    count: int
    largest: int


def pack_conv(weight: np.ndarray, codes: np.ndarray, multiplier: np.ndarray, row: int) -> PackedConv:
    """Prove and pack a convolution.

    Args:
        weight: integers (F, C, KH, KW).
        codes: the largest of each channel, (C,).
        multiplier: of each channel, (C,).
        row: bytes from a row of the source to the next.

    Raises:
        QuantizationError: sums that do not fit, or multipliers beyond 16 bits.
    """
    filters, channels, height, width = weight.shape
    stride = padded(channels)
    places = (np.arange(height)[:, None] * row + np.arange(width) * stride)[..., None] + np.arange(stride)
    taps = np.zeros((height, width, stride, padded(filters)), np.int64)
    taps[:, :, :channels, :filters] = weight.transpose(2, 3, 1, 0)
    limbs: list[Limb] = []
    offsets: list[np.ndarray] = []
    for factor in np.unique(multiplier):
        chosen = _whole_steps(multiplier == factor, stride)
        part = np.where((np.pad(multiplier, (0, stride - channels)) == factor)[:, None], taps, 0)[:, :, chosen]
        largest = np.broadcast_to(np.pad(codes, (0, stride - channels))[chosen], part.shape[:3]).ravel()
        for limb in limbs_of(part.reshape(-1, part.shape[3]), largest):
            if abs(limb.multiplier * factor) >= _HALF:
                raise QuantizationError(
                    f"integer engine: expected multipliers of 16 bits, found {limb.multiplier * factor}"
                )
            limbs.append(Limb(limb.multiplier * int(factor), limb.weight, limb.lengths, limb.limits))
            offsets.append(places[:, :, chosen].reshape(-1, STEP_TAPS)[:, 0])
    limbs, offsets = _equal_multipliers_together(limbs, offsets)
    blocks = [block for limb, places in zip(limbs, offsets) for block in _blocks(limb, places)]
    largest_sum = check_sums([(limb.multiplier, limb.limits) for limb in limbs])
    table = np.concatenate([np.array(block, np.int32) for block in blocks])
    return PackedConv(_interleave(np.concatenate([limb.weight for limb in limbs])), table, len(blocks), largest_sum)


def _whole_steps(chosen: np.ndarray, stride: int) -> np.ndarray:
    """All channels of the steps that have a chosen one."""
    steps = np.pad(chosen, (0, stride - len(chosen))).reshape(-1, STEP_TAPS).any(1)
    return np.repeat(steps, STEP_TAPS)


def _equal_multipliers_together(limbs: list[Limb], offsets: list[np.ndarray]):
    """Blocks of one multiplier go on in the same sums where these have 32 bits."""
    order = sorted(range(len(limbs)), key=lambda i: limbs[i].multiplier)
    return [limbs[i] for i in order], [offsets[i] for i in order]


def _blocks(limb: Limb, offsets: np.ndarray) -> list[list[int]]:
    blocks, first = [], 0
    for length in limb.lengths:
        runs = _runs(offsets[first : first + length])
        blocks.append([limb.multiplier, len(runs), *(number for run in runs for number in run)])
        first += length
    return blocks


def _runs(offsets: np.ndarray) -> list[tuple[int, int]]:
    """(offset, steps) of neighbours in memory."""
    starts = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1) != STEP_TAPS)
    ends = np.append(starts[1:], len(offsets))
    return [(int(offsets[start]), int(end - start)) for start, end in zip(starts, ends)]


def _interleave(weight: np.ndarray) -> np.ndarray:
    steps, filters = len(weight) // STEP_TAPS, weight.shape[1]
    parts = weight.reshape(steps, STEP_TAPS, filters // GROUP, GROUP).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(parts, np.int8).ravel()
