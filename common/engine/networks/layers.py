"""Layers of a network by their parameters' names: quantized ones on integers, all others in float32."""

from collections.abc import Mapping

import numpy as np

from common.engine.builder import Builder, Value, refuse
from common.engine.quantized import Input, input_of, integers_of
from common.quant.integer_weight import IntegerLayer

EPSILON = 1e-5  # of every BatchNorm of the zoo


class Layers:
    """Adds the layers of a network to a description.

    Args:
        parameters: of the network by name, float32.
        quantized: its quantized layers by name; those without grids are float layers, whose weights are parameters.
        size: height and width of its images.
    """

    def __init__(
        self, parameters: Mapping[str, np.ndarray], quantized: Mapping[str, IntegerLayer], size: tuple[int, int]
    ):
        self.parameters, self.quantized = parameters, quantized
        self.builder = Builder((3, *size))
        self.inputs: dict[tuple, Input] = {}

    def conv(self, name: str, x: Value, stride: int = 1, padding: int = 0) -> Value:
        """A convolution, with its bias if it has one."""
        if name in self.quantized and self.quantized[name].grids:
            y = self._integer_conv(name, x, stride, padding)
        else:
            y = self.builder.float_conv(x, _as_kernel(self.parameters[f"{name}.weight"]), stride, padding)
        bias = self.parameters.get(f"{name}.bias")
        return y if bias is None else self.builder.affine(y, np.ones(len(bias)), bias.astype(np.float64))

    def _integer_conv(self, name: str, x: Value, stride: int, padding: int) -> Value:
        layer = self.quantized[name]
        if len(layer.weights) != 1:
            raise refuse(f"{name} chooses its bits by the image, which is not among its instructions")
        integers, source = integers_of(layer.weights[0]), self.input_of(layer)
        weight, multiplier = source.of_planes(_as_kernel(integers.values))
        scale = integers.scale * source.unit
        if weight.shape[2:] == (1, 1) and stride > 1:  # codes of the pixels that are read alone
            codes, stride = self.builder.codes(x, source.grid, stride), 1
        else:
            codes = self.builder.codes(x, source.grid)
        return self.builder.integer_conv(codes, weight, scale, stride, padding, multiplier)

    def input_of(self, layer: IntegerLayer) -> Input:
        """The codes of a layer's input; layers of the same bits and clip share them."""
        grid = layer.grids[0]
        return self.inputs.setdefault((grid.bits.tobytes(), grid.clip.tobytes(), grid.signed), input_of(grid))

    def norm(self, name: str, x: Value) -> Value:
        """BatchNorm with its moving statistics."""
        gamma, beta, mean, variance = (
            self.parameters[f"{name}.{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return self.builder.affine(x, scale, beta - mean * scale)

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self.builder.relu(x)

    def average(self, x: Value, side: tuple[int, int]) -> Value:
        """The average over all pixels."""
        return self.builder.pool(x, side)

    def dense(self, name: str, x: Value) -> Value:
        """A linear layer of 1 x 1 pixels."""
        return self.conv(name, x)

    def count(self, stage: str) -> int:
        """Number of blocks of a stage, by the names of its parameters."""
        return len({name.split(".")[1] for name in self.parameters if name.startswith(f"{stage}.")})


def _as_kernel(weight: np.ndarray) -> np.ndarray:
    """(F, C, KH, KW) of a convolution's weights, or of a linear layer's (F, C)."""
    return weight if weight.ndim == 4 else weight.reshape(*weight.shape, 1, 1)
