"""A layer's weights in the order in which its kernel reads them, and its table of blocks.

Weights: [group of 16 filters][step][16 filters][4 taps]; AVX-512 takes the 64 bytes of a step as one register, AVX2 as
two of 8 filters. Taps follow the memory of the codes: row, column, channel of the kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.engine.bounds import Limits, check_sums
from common.engine.description import NO_TAP, Grid
from common.engine.layout import DIFFERENCE_TAPS, GROUP, STEP_TAPS, padded
from common.engine.limbs import Limb, limbs_of
from common.errors import QuantizationError

_CODE = 255  # the largest code
_EXACT = 2**24  # float32 has all integers up to it


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
        QuantizationError: weights or sums that do not fit.
    """
    segments = sorted(_segments(weight, codes, multiplier, row), key=lambda segment: segment[0].multiplier)
    largest = check_sums([(limb.multiplier, limb.limits) for limb, _ in segments])
    blocks = [np.array(block, np.int32) for segment in segments for block in _blocks(*segment)]
    weights = _interleave(np.concatenate([limb.weight for limb, _ in segments]))
    return PackedConv(weights, np.concatenate(blocks), len(blocks), largest)


def pack_differences(weight: np.ndarray, row: int) -> PackedConv:
    """Prove and pack a convolution of absolute differences; arguments and errors as of :func:`pack_conv`.

    One block; weights are [group of 16 filters][two steps][16 filters][8 taps].
    """
    used = (weight != NO_TAP).all((0, 1))
    if not used.any() or weight[:, :, used].min() < 0 or weight.max() > _CODE or (weight[:, :, ~used] != NO_TAP).any():
        found = f"{weight.min()} to {weight.max()}"
        raise QuantizationError(f"integer engine: expected codes of 0 to {_CODE} as weights, found {found}")
    taps, places = (part[used] for part in _taps(weight, row))
    taps = taps.reshape(-1, taps.shape[-1])
    largest = check_sums([(1, Limits(np.zeros((1, 1, 1), np.int64), np.full((1, 1, 1), len(taps) * _CODE)))])
    runs = _runs(places.reshape(-1, STEP_TAPS)[:, 0])
    block = np.array([1, len(runs), *(number for run in runs for number in run)], np.int32)
    weights = _interleave(taps.astype(np.uint8).view(np.int8), DIFFERENCE_TAPS)
    return PackedConv(weights, block, 1, largest)


def pack_depthwise(weight: np.ndarray, grid: Grid) -> np.ndarray:
    """Weights of a convolution of single channels, proven to have sums that float32 holds exactly.

    Args:
        weight: integers (C, 1, KH, KW).
        grid: of the codes.

    Returns:
        float32, [group of 16 channels][row][column][16 channels].

    Raises:
        QuantizationError: other weights, codes of two planes or of a choice, or sums from 2^24 up.
    """
    channels = len(weight)
    if grid.planes or grid.decision is not None or weight.shape[1] != 1:
        raise QuantizationError("integer engine: expected one kernel for each channel of codes of one plane")
    taps = weight.reshape(channels, -1)
    largest = int((np.abs(taps).sum(1) * grid.largest(channels)).max())
    if largest >= _EXACT:
        raise QuantizationError(f"integer engine: expected sums of a channel below 2^24, found up to {largest}")
    rows = np.pad(taps, ((0, padded(channels) - channels), (0, 0))).astype(np.float32)
    return rows.reshape(-1, GROUP, taps.shape[1]).transpose(0, 2, 1).ravel()


def _taps(weight: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (KH, KW, channels, filters), both padded to groups, and the places (KH, KW, channels) of their taps."""
    filters, channels, height, width = weight.shape
    stride = padded(channels)
    places = (np.arange(height)[:, None] * row + np.arange(width) * stride)[..., None] + np.arange(stride)
    taps = np.zeros((height, width, stride, padded(filters)), np.int64)
    taps[:, :, :channels, :filters] = weight.transpose(2, 3, 1, 0)
    return taps, places


def _segments(
    weight: np.ndarray, codes: np.ndarray, multiplier: np.ndarray, row: int
) -> Iterator[tuple[Limb, np.ndarray]]:
    """Limbs of the channels of each multiplier, and the places of their steps in the source.

    Sorted by multiplier, blocks of the same one go on in the same sums where these have 32 bits.
    """
    taps, places = _taps(weight, row)
    lacking = taps.shape[2] - len(codes)
    codes, multiplier = (np.pad(array, (0, lacking)) for array in (codes, multiplier))
    for factor in np.unique(multiplier[multiplier != 0]).tolist():
        part = np.where((multiplier == factor)[:, None], taps, 0)
        used = (part != 0).any((0, 1, 3))  # channels that only fill a group are not
        used = used if used.any() else multiplier == factor
        steps = np.repeat(used.reshape(-1, STEP_TAPS).any(1), STEP_TAPS)
        part = part[:, :, steps]
        largest = np.broadcast_to(codes[steps], part.shape[:3]).ravel()
        for limb in limbs_of(part.reshape(-1, part.shape[3]), largest, factor):
            yield limb, places[:, :, steps].reshape(-1, STEP_TAPS)[:, 0]


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


def _interleave(weight: np.ndarray, taps: int = STEP_TAPS) -> np.ndarray:
    steps, filters = len(weight) // taps, weight.shape[1]
    parts = weight.reshape(steps, taps, filters // GROUP, GROUP).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(parts, np.int8).ravel()


def each_plane(array: np.ndarray, size: int) -> np.ndarray:
    """Upper and lower plane, each with zeros up to ``size`` channels."""
    parts = [np.pad(part, [(0, size - len(part))] + [(0, 0)] * (part.ndim - 1)) for part in np.split(array, 2)]
    return np.concatenate(parts)


def by_taps(weight: np.ndarray, stride: int) -> np.ndarray:
    """Float weights as [group of 16 filters][row][column][channel][16 filters]."""
    filters, channels, height, width = weight.shape
    taps = np.zeros((height, width, stride, padded(filters)), np.float32)
    taps[:, :, :channels, :filters] = weight.transpose(2, 3, 1, 0)
    return taps.reshape(-1, padded(filters) // GROUP, GROUP).transpose(1, 0, 2).ravel()
