r"""3 x 3 convolutions of stride 1 by Winograd's F(2 x 2, 3 x 3) in integers: 16 multiply-adds for 4 results, not 36.

.. math:: 4\,Y = A^T [\, \textstyle\sum_c (2 G\, g_c\, (2 G)^T) \odot (B^T d_c\, B) \,] A

g are weights, d 4 x 4 codes, Y 2 x 2 sums. Each of the 16 positions of the transformed tiles is a convolution of 1 x 1
pixels. Weights of the 4 positions that G leaves as they are, are stored as a quarter of this, those of the 8 that it
halves once as a half; ``SHIFTS`` brings them back. Nothing is rounded: results are the integers of the direct sums.

Transformed codes lie in [-2 t, 2 t] (the position (1, 1): in [0, 4 t]), t the largest code. They are stored as bytes,
2 t larger (``offsets``), which adds a constant of each filter to Y (``corrections``). Source: Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, CVPR 2016.
"""

from dataclasses import dataclass

import numpy as np

from common.engine.bounds import SUM
from common.engine.layout import GROUP, STEP_TAPS, WINOGRAD_TILES, padded
from common.engine.packing import PackedConv, pack_conv
from common.errors import QuantizationError

POSITIONS = 16
LARGEST_CODE = 63  # 4 t is a byte
_TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])  # G halves rows 1 and 2
INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])  # B^T
OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])  # A^T
_EXACT = np.array([1, 0, 0, 1])  # rows of G without halves
SHIFTS = (_EXACT[:, None] + _EXACT).ravel()  # of each position: log2 of 4 U over what is stored
# In steps of 4 taps: transforms of a tile, for 16 filters; and how much less than the direct form it must cost.
_TRANSFORM, _LEAST_GAIN = 80, 0.9
_CACHE = 2**19  # bytes of transformed codes at once, which the second cache has beside weights of 32 filters


@dataclass(frozen=True, eq=False)
class PackedWinograd:
    """What the kernel reads.

    Attributes:
        weights: int8, [group of 16 filters][position][step][16 filters][4 taps].
        blocks: int32: the offset, corrections (2 x 2, padded filters), then of each position the number of its blocks
            and these.
    """

    weights: np.ndarray
    blocks: np.ndarray


def offsets(largest: int) -> np.ndarray:
    """What is added to the transformed codes of each position, where ``largest`` is the largest code."""
    added = np.full((4, 4), 2 * largest)
    added[1, 1] = 0
    return added.ravel()


def transformed_weights(weight: np.ndarray) -> np.ndarray:
    """What is stored of weights (F, C, 3, 3): (16, F, C)."""
    values = np.einsum("ik,fckl,jl->ijfc", _TWICE_G, weight, _TWICE_G).reshape(POSITIONS, *weight.shape[:2])
    return values >> SHIFTS[:, None, None]


def pack_winograd(weight: np.ndarray, codes: np.ndarray) -> PackedWinograd | None:
    """Prove and pack a convolution; None where bytes or sums of 32 bits do not hold it.

    Args:
        weight: integers (F, C, 3, 3).
        codes: the largest of each channel, (C,).
    """
    largest = int(codes.max(initial=0))
    # 4 Y itself must fit; what it is added up from may wrap around.
    if largest > LARGEST_CODE or 4 * int((np.abs(weight) * codes[:, None, None]).sum((1, 2, 3)).max()) > SUM:
        return None
    values, added = transformed_weights(weight), offsets(largest)
    once = np.ones(len(codes), np.int64)
    try:
        packed = [
            pack_conv(value[..., None, None], offset + 2 * codes if offset else 4 * codes, once, 0)
            for value, offset in zip(values, added)
        ]
    except QuantizationError:
        return None
    positions = [np.append(np.int32(part.count), part.blocks) for part in packed]
    blocks = np.concatenate([[2 * largest], corrections(values, added), *positions])
    groups = padded(len(weight)) // GROUP
    weights = np.concatenate([part.weights.reshape(groups, -1) for part in packed], 1)
    return PackedWinograd(weights.ravel(), blocks.astype(np.int32))


def corrections(values: np.ndarray, added: np.ndarray) -> np.ndarray:
    """What offsets add to 4 Y, negative: (2 x 2 x padded filters,)."""
    sums = (values.sum(2) * added[:, None]) << SHIFTS[:, None]
    sums = np.einsum("pi,qj,ijf->pqf", OUTPUT, OUTPUT, sums.reshape(4, 4, -1))
    return -np.pad(sums, ((0, 0), (0, 0), (0, padded(sums.shape[2]) - sums.shape[2]))).ravel()


def pays(winograd: PackedWinograd, direct: PackedConv, filters: int, size: tuple[int, int]) -> bool:
    """Whether fewer steps are computed, transforms included."""
    step, groups = STEP_TAPS * GROUP, padded(filters) // GROUP
    cost = tiles_of(size) * (winograd.weights.size / step + _TRANSFORM * groups)
    return cost < _LEAST_GAIN * size[0] * size[1] * direct.weights.size / step


def tiles_of(size: tuple[int, int]) -> int:
    """Tiles of 2 x 2 results of an image."""
    return -(-size[0] // 2) * -(-size[1] // 2)


def scratch_bytes(tiles: int, channels: int) -> int:
    """Memory of so many tiles' transformed codes, or of those that exist at once."""
    chunk = WINOGRAD_TILES * POSITIONS * channels
    return chunk * max(1, min(-(-tiles // WINOGRAD_TILES), _CACHE // chunk))
