"""Layers of a network by their parameters' names: quantized ones on integers, all others in float32."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from common.engine.builder import Builder, Value, refuse
from common.engine.quantized import Input, input_of, input_of_choice, integers_of
from common.quant.integer_weight import ActivationGrid, IntegerLayer

EPSILON = 1e-5  # of every BatchNorm of the zoo
CONTROLLER_GRID = 8  # pooled side of the map that DynamicQuant's controller reads


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
        self.decisions = 0  # of images, so far

    def conv(self, name: str, x: Value, stride: int = 1, padding: int = 0, side: tuple[int, int] = (1, 1)) -> Value:
        """A convolution, or a linear layer of so many pixels in its place, with its bias if it has one."""
        if f"{name}.codes" in self.parameters:
            y = self._adder_conv(name, x, stride, padding)
        elif name in self.quantized and self.quantized[name].grids:
            y = self._integer_conv(name, x, stride, padding, side)
        else:
            y = self.builder.float_conv(x, _as_kernel(self.parameters[f"{name}.weight"], side), stride, padding)
        bias = self.parameters.get(f"{name}.bias")
        return y if bias is None else self.builder.affine(y, np.ones(len(bias)), bias.astype(np.float64))

    def _integer_conv(self, name: str, x: Value, stride: int, padding: int, side: tuple[int, int]) -> Value:
        layer = self.quantized[name]
        integers, multiplier = [integers_of(weight) for weight in layer.weights], None
        weights = [_as_kernel(part.values, side) for part in integers]
        if len(layer.weights) > 1:
            grid, units = input_of_choice(layer.grids, self.decisions)
            self.decisions += 1
        else:
            source = self.input_of(layer.grids[0])
            grid, units = source.grid, (source.unit,)
            weights[0], multiplier = source.of_planes(weights[0])
        scales = [part.scale * unit for part, unit in zip(integers, units)]
        if weights[0].shape[2:] == (1, 1) and stride > 1:  # codes of the pixels that are read alone
            codes, stride = self.builder.codes(x, grid, stride), 1
        else:
            codes = self.builder.codes(x, grid)
        return self.builder.integer_conv(codes, weights, scales, stride, padding, multiplier)

    def _adder_conv(self, name: str, x: Value, stride: int, padding: int) -> Value:
        """AdderNet's layer: y = -step sum |x - codes|, its inputs on the grid of the weights."""
        weight = self.quantized[name].weights[0]
        if weight.scale.shape != (1,):
            raise refuse(f"{name} has grids of several steps, which are not among its instructions")
        step, bits = weight.scale.astype(np.float32), weight.bits
        source = self.input_of(ActivationGrid(bits, step * np.float32(2 ** int(bits[0]) - 1)))
        scales = [np.full(len(weight.codes), -float(step[0]))]
        codes = self.builder.codes(x, source.grid)
        return self.builder.integer_conv(codes, [weight.codes], scales, stride, padding, differences=True)

    def controller(self, x: Value, size: tuple[int, int]) -> None:
        """DynamicQuant's bit controller on the first stage's output of so many pixels, where the network has one."""
        if "controller.last.weight" not in self.parameters:
            return
        side = size[0] // CONTROLLER_GRID
        x = self.builder.pool(x, (side, side), side)
        x = self.relu(self.conv("controller.hidden", x))
        candidates = max(len(layer.weights) for layer in self.quantized.values())
        self.builder.choose(self.conv("controller.last", x), candidates)

    def input_of(self, grid: ActivationGrid) -> Input:
        """The codes of a layer's input; layers of the same bits and clip share them."""
        if (grid.bits == grid.bits[0]).all():  # of linear layers there may be one for each feature
            grid = replace(grid, bits=grid.bits[:1])
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

    def dense(self, name: str, x: Value, side: tuple[int, int] = (1, 1)) -> Value:
        """A linear layer of all channels, rows and columns of so many pixels."""
        return self.conv(name, x, side=side)

    def count(self, stage: str) -> int:
        """Number of blocks of a stage, by the names of its parameters."""
        return len({name.split(".")[1] for name in self.parameters if name.startswith(f"{stage}.")})


def _as_kernel(weight: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """(F, C, KH, KW) of a convolution's weights, or of a linear layer's (F, C KH KW)."""
    return weight if weight.ndim == 4 else weight.reshape(len(weight), -1, *side)
