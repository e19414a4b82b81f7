r"""Tensors and filters on 8-bit grids, as QuantizeLinear and DequantizeLinear say them.

A tensor stands for :math:`s\,(q - z)`, q from 0 to 255. A filter computes
:math:`a_f \sum_i q_i w_{f,i} + b_f`, w integers: int8 weights of the scale :math:`|a_f| / s` and an int32 bias of the
scale :math:`|a_f|`, which is what runtimes add to their sums.
"""

from dataclasses import dataclass

import numpy as np

from common.errors import ExportError
from common.export.onnx_graph import GraphBuilder, Symbol

LARGEST_CODE, _LARGEST_WEIGHT = 255, 127
_HALVES = 255  # levels of 8 bits without a zero are odd multiples of half a step
_LARGEST_BIAS = 2.0**30
_SMALLEST_SCALE = 1e-30  # above the smallest float32, also divided by a tensor's scale


@dataclass(frozen=True, eq=False)
class Levels:
    """A tensor of codes.

    Attributes:
        codes: uint8.
        scale: what a code of 1 more stands for.
        zero: code of 0.
    """

    codes: Symbol
    scale: float
    zero: int = 0

    def real(self) -> Symbol:
        """Its values, by a DequantizeLinear of their own: runtimes fuse one that nothing else reads."""
        return self.codes.graph.add("DequantizeLinear", self.codes, np.float32(self.scale), np.uint8(self.zero))


def quantize(x: Symbol, scale: float, zero: int = 0, top: int = LARGEST_CODE) -> Levels:
    """The nearest codes from 0 to ``top``, half to even.

    Codes are clipped, not values: a Clip between an operator and QuantizeLinear keeps onnxruntime from fusing them.
    """
    codes = x.graph.add("QuantizeLinear", x, np.float32(scale), np.uint8(zero))
    if top < LARGEST_CODE:
        codes = x.graph.add("Clip", codes, np.uint8(0), np.uint8(top))
    return Levels(codes, scale, zero)


def grid_of(low: float, high: float) -> tuple[float, int]:
    """Scale and zero of the codes of values from low to high; 0 is among their levels."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / LARGEST_CODE)) or 1.0
    return scale, round(-low / scale)


@dataclass(frozen=True, eq=False)
class Filters:
    """Filters on codes.

    Attributes:
        weight: int8 (F, ...).
        scale: float32 (F,), > 0.
        bias: int32 (F,).
        bias_scale: float32 (F,), scale times that of the codes.
    """

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    bias_scale: np.ndarray

    def symbols(self, graph: GraphBuilder) -> tuple[Symbol, Symbol]:
        """Weights and biases as symbols."""
        zeros = np.zeros(len(self.scale), np.int8)
        weight = graph.add("DequantizeLinear", self.weight, self.scale, zeros, axis=0)
        bias = graph.add("DequantizeLinear", self.bias, self.bias_scale, zeros.astype(np.int32), axis=0)
        return weight, bias


def filters_of(weight: np.ndarray, factor: np.ndarray, offset: np.ndarray, unit: float) -> Filters:
    """Filters that compute sums of codes with integers, times a factor, plus an offset.

    Args:
        weight: integers (F, ...), from -127 to 127; of 8 bits without a zero to 255, which become 255 levels of each
            filter's largest.
        factor: a, float64 (F,).
        offset: b, float64 (F,).
        unit: scale s of the codes.

    Raises:
        ExportError: integers that are larger.
    """
    column = (-1, *[1] * (weight.ndim - 1))
    weight = weight * np.where(factor < 0, -1, 1).reshape(column)
    largest = np.abs(weight).reshape(len(weight), -1).max(1)
    if largest.max() > _HALVES:
        raise ExportError(
            f"ONNX, fast form: expected weights on levels of 8 bits, found up to {int(largest.max())} times their "
            "step; take --format mindir"
        )
    steps = np.maximum(largest / _LARGEST_WEIGHT, 1.0)
    exact = np.abs(factor) * steps
    # Of filters whose weights are next to nothing beside their offset, the offset must fit 32 bits.
    used = np.maximum(np.maximum(exact, np.abs(offset) / _LARGEST_BIAS), _SMALLEST_SCALE)
    codes = np.rint(weight / steps.reshape(column) * (exact / used).reshape(column)).astype(np.int8)
    scale = (used / unit).astype(np.float32)
    bias_scale = scale * np.float32(unit)
    return Filters(codes, scale, np.rint(offset / bias_scale.astype(np.float64)).astype(np.int32), bias_scale)


def rounded_filters(weight: np.ndarray, offset: np.ndarray, unit: float) -> Filters:
    """Filters that compute sums of values on levels with float weights, which take 255 levels of each filter's largest.

    Args:
        weight: float (F, ...).
        offset: float64 (F,).
        unit: scale of the codes.
    """
    steps = np.abs(weight).reshape(len(weight), -1).max(1) / _LARGEST_WEIGHT
    steps[steps == 0] = 1.0
    codes = np.rint(weight / steps.reshape(-1, *[1] * (weight.ndim - 1)))
    return filters_of(codes, steps * unit, offset, unit)
