"""Parameters whose values are on levels, and the latent values beside them that a training moves."""

from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor

from common.quant.integer_weight import IntegerWeight, one
from LDNQ.levels import TABLES, code_bits, magnitudes, nearest_levels, to_codes

_CELL_MARGIN = 0.02


@dataclass(eq=False)
class LevelledParameter:
    """A parameter whose values are on levels, or will be.

    Attributes:
        value: parameter g of the network.
        latent: latent values t, of the same shape.
        scale: scale a, of a shape that broadcasts to it.
    """

    value: Parameter
    latent: Parameter
    scale: Parameter

    @classmethod
    def of(cls, value: Parameter) -> "LevelledParameter":
        """A float one."""
        latent = Parameter(value.value().copy(), name=f"latent.{value.name}", requires_grad=False)
        ones = np.ones((value.shape[0],) + (1,) * (len(value.shape) - 1), np.float32)
        return cls(value, latent, Parameter(Tensor(ones), name=f"scale.{value.name}", requires_grad=False))

    def assign(self, levels: np.ndarray, scale: np.ndarray, level_count: int, margin: float = 0.0) -> None:
        """Put the parameter on its levels; the latent values come from what it held.

        Args:
            levels: level of each value, of the parameter's shape.
            scale: scale of each row, (F,).
            level_count: number of levels.
            margin: of :func:`latent_values`.
        """
        scale = scale.astype(np.float32).reshape(self.scale.shape)
        latent = latent_values(self.value.asnumpy(), levels, scale, level_count, margin)
        self.latent.set_data(Tensor(latent.astype(np.float32)))
        self.scale.set_data(Tensor(scale))
        self.value.set_data(Tensor(self.to_int(level_count).dequantize()))

    def to_int(self, level_count: int) -> IntegerWeight:
        """The integers that the parameter is on: the levels nearest to the latent values, as the step computes them."""
        scale, latent = self.scale.asnumpy(), self.latent.asnumpy()
        size = np.abs(latent) / np.maximum(scale, np.float32(1e-30))
        levels = np.copysign(_reached(size, level_count), latent) * (scale != 0)
        rows = scale.reshape(-1)
        scale = rows[:1] if (rows == rows[0]).all() else rows
        bits = one(code_bits(level_count), np.uint8)
        return IntegerWeight(to_codes(levels, level_count), bits, scale, TABLES[level_count])


def latent_values(
    weight: np.ndarray, levels: np.ndarray, scale: np.ndarray, level_count: int, margin: float = 0.0
) -> np.ndarray:
    """The values nearest to float weights that round to given levels, a little inside the level's cell.

    Args:
        weight: float weights.
        levels: level of each.
        scale: that broadcasts to both.
        level_count: number of levels.
        margin: least share of the cell's width between a value and the cell's border, where the weight has another
            level: codes that were chosen against rounding shall not be lost in the first steps.

    Example:
        >>> latent_values(np.array([0.7, 0.1, 0.9]), np.array([1, 1, 0]), np.array([1.0]), 3)
        array([0.7 , 0.52, 0.48])
    """
    positive = magnitudes(level_count)
    middles = (positive[1:] + positive[:-1]) / 2
    low, high = np.concatenate(([-np.inf], middles)), np.concatenate((middles, [np.inf]))
    index = np.searchsorted(positive, np.abs(levels))
    sign = np.where(levels < 0, -1.0, 1.0)
    ratio = np.divide(weight, scale, out=np.zeros(weight.shape), where=scale != 0)
    inner = np.maximum(_CELL_MARGIN, margin * cell_width(np.abs(levels)))
    inside = sign * np.clip(sign * ratio, low[index] + inner, high[index] - inner)
    inside = np.where(levels == 0, np.clip(ratio, inner - middles[0], middles[0] - inner), inside)
    kept = (nearest_levels(ratio, level_count) == levels) | (scale == 0)
    return np.where(kept, weight, inside * scale)


def cell_width(level: np.ndarray) -> np.ndarray:
    """Width of the cells of levels 0, 1, 2, 4, ...: what rounds to them, the largest level's without its open end."""
    return np.maximum(1, 0.75 * level)


def _reached(size: np.ndarray, level_count: int) -> np.ndarray:
    """The level nearest to each size >= 0, float32 arithmetic as in :class:`LDNQ.matching.MatchStep`, ties upwards."""
    middles = ((magnitudes(level_count)[1:] + magnitudes(level_count)[:-1]) / 2).astype(np.float32)
    return magnitudes(level_count)[np.searchsorted(middles, size, side="right")]
