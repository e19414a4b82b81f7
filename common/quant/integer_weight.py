r"""Quantized layers as integers: what quantizers return, and what packed files, ONNX and integer engines read.

.. math:: w_{f, i} = s_f\,L_{k_f}(c_{f, i}), \qquad x = \tfrac{a}{2^k - 1}\,j \quad (\text{signed: } 2 x - a)

with codes c and j, a scale s and a width k of each output channel f (or of all), a level table L and a clip a.
"""

from dataclasses import dataclass, field

import numpy as np

from common.errors import QuantizationError
from common.quant.level_table import LevelTable


@dataclass(frozen=True, eq=False)
class IntegerWeight:
    """Integer codes times scales.

    Attributes:
        codes: (F, ...) uint8, numbers of levels; 0 where a channel has 0 bits.
        bits: (1,) of all, or (F,) of each output channel, uint8; weights of 0 bits are 0.
        scale: (1,) of all, or (F,) of each output channel, float32.
        levels: what codes stand for.

    Raises:
        QuantizationError: shapes or types that do not fit each other, or a code beyond the levels of its width.
    """

    codes: np.ndarray
    bits: np.ndarray
    scale: np.ndarray
    levels: LevelTable

    def __post_init__(self):
        rows = len(self.codes)
        fits = self.codes.dtype == np.uint8 and self.bits.dtype == np.uint8 and self.scale.dtype == np.float32
        if not fits or self.bits.shape not in ((1,), (rows,)) or self.scale.shape not in ((1,), (rows,)):
            shapes = f"{self.codes.dtype} {self.codes.shape}, {self.bits.shape}, {self.scale.dtype} {self.scale.shape}"
            raise QuantizationError(
                f"expected uint8 codes (F, ...), bits and float32 scales (1,) or (F,), found {shapes}"
            )
        largest = self.codes.reshape(rows, -1).max(1)
        for bits in np.unique(self.bits).tolist():
            most = largest[np.broadcast_to(self.bits, rows) == bits].max()
            if most >= self.count(bits):
                raise QuantizationError(f"expected codes below {self.count(bits)} for {bits} bits, found {most}")

    def count(self, bits: int) -> int:
        """Number of levels of a width; one of 0 bits."""
        return len(self.levels.levels(bits)) if bits else 1

    def dequantize(self) -> np.ndarray:
        """The weights that a network computes with, float32 (F, ...)."""
        rows = len(self.codes)
        shape = (-1, *[1] * (self.codes.ndim - 1))
        bits, scale = np.broadcast_to(self.bits, rows), np.broadcast_to(self.scale, rows)
        values = np.zeros(self.codes.shape, np.float32)
        for width in np.unique(bits[bits > 0]).tolist():
            chosen = bits == width
            values[chosen] = scale[chosen].reshape(shape) * self.levels.levels(width)[self.codes[chosen]]
        return values


@dataclass(frozen=True, eq=False)
class ActivationGrid:
    """The levels of a layer's input.

    Attributes:
        bits: (1,) of all, or (C,) of each input channel, uint8; activations of 0 bits are 0.
        clip: largest level, float32 (1,), > 0.
        signed: 2^k levels from -clip to clip, in place of 0 to clip.
    """

    bits: np.ndarray
    clip: np.ndarray
    signed: bool = False


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A quantized layer of a network.

    Attributes:
        weights: one, or one for each candidate that an image can choose.
        grids: of the input, as many as weights; none where the input is float, or shares the weights' own grid.
        bias: where it is quantized too.
    """

    weights: tuple[IntegerWeight, ...]
    grids: tuple[ActivationGrid, ...] = field(default=())
    bias: IntegerWeight | None = None


def one(value: float | int, kind: type) -> np.ndarray:
    """An array (1,) of one value for all channels."""
    return np.array([value], kind)
