"""Layers of a network by their parameters' names: quantized ones on integers, all others in float32."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from common.engine.builder import Builder, Value, refuse
from common.engine.description import NO_TAP, Grid
from common.engine.even_windows import Window, padded_by
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
        return self.conv_of(name, x, stride, padded_by(padding), side)

    def conv_of(self, name: str, x: Value, stride: int, window: Window, side: tuple[int, int] = (1, 1)) -> Value:
        """The same of a window with any padding, dilation and groups."""
        if f"{name}.codes" in self.parameters:
            y = self._adder_conv(name, x, stride, window)
        elif name in self.quantized and self.quantized[name].grids:
            y = self._integer_conv(name, x, stride, window, side)
        else:
            weight = window.spread(_as_kernel(self.parameters[f"{name}.weight"], side))
            y = self.builder.float_conv(x, weight, stride, window.even_padding)
        bias = self.parameters.get(f"{name}.bias")
        return y if bias is None else self.builder.affine(y, np.ones(len(bias)), bias.astype(np.float64))

    def depthwise(self, name: str, x: Value, stride: int, padding: int) -> Value:
        """A convolution of each channel by itself."""
        return self.depthwise_of(name, x, stride, padded_by(padding))

    def depthwise_of(self, name: str, x: Value, stride: int, window: Window) -> Value:
        """The same of a window with any padding and dilation."""
        layer = self.quantized.get(name)
        if layer is None or len(layer.grids) != 1:
            raise refuse(f"{name} filters single channels in floats, which is not among its instructions")
        source, part = self.input_of(layer.grids[0]), integers_of(layer.weights[0])
        codes = self.builder.codes(x, source.grid)
        weight = window.spread(part.values)
        return self.builder.depthwise_conv(codes, weight, part.scale * source.unit, stride, window.even_padding)

    def _signed_conv(self, name: str, x: Value, window: Window) -> Value:
        """1 x 1 pixels of inputs that may be negative: x = 2 u j - a, so that y = 2 u sum(w j) - a sum(w)."""
        layer, builder = self.quantized[name], self.builder
        grid, part = layer.grids[0], integers_of(layer.weights[0])
        weight, top, clip = (
            window.spread(_as_kernel(part.values, (1, 1))),
            2 ** int(grid.bits[0]) - 1,
            float(grid.clip[0]),
        )
        if weight.shape[2:] != (1, 1):
            raise refuse(f"{name} has signed inputs beside a border of zeros, which are not among its instructions")
        channels, filters = weight.shape[1], weight.shape[0]
        shifted = builder.affine(x, np.full(channels, top / (2 * clip)), np.full(channels, top / 2))
        codes = builder.codes(shifted, Grid(np.ones(1, np.float32), np.array([top])))
        y = builder.integer_conv(codes, [weight], [part.scale * 2 * clip / top])
        return builder.affine(y, np.ones(filters), -clip * part.scale * weight.sum((1, 2, 3)))

    def _integer_conv(self, name: str, x: Value, stride: int, window: Window, side: tuple[int, int]) -> Value:
        layer = self.quantized[name]
        if len(layer.weights) == 1 and layer.grids[0].signed and stride == 1:
            return self._signed_conv(name, x, window)
        integers, multiplier = [integers_of(weight) for weight in layer.weights], None
        weights = [window.spread(_as_kernel(part.values, side)) for part in integers]
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
        return self.builder.integer_conv(codes, weights, scales, stride, window.even_padding, multiplier)

    def _adder_conv(self, name: str, x: Value, stride: int, window: Window) -> Value:
        """AdderNet's layer: y = -step sum |x - codes|, its inputs on the grid of the weights."""
        weight = self.quantized[name].weights[0]
        if weight.scale.shape != (1,):
            raise refuse(f"{name} has grids of several steps, which are not among its instructions")
        step, bits = weight.scale.astype(np.float32), weight.bits
        source = self.input_of(ActivationGrid(bits, step * np.float32(2 ** int(bits[0]) - 1)))
        scales = [np.full(len(weight.codes), -float(step[0]))]
        codes = self.builder.codes(x, source.grid)
        taps, padding = window.spread(weight.codes.astype(np.int64), NO_TAP), window.even_padding
        return self.builder.integer_conv(codes, [taps], scales, stride, padding, differences=True)

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

    def relu6(self, x: Value) -> Value:
        """min(max(x, 0), 6)."""
        return self.builder.relu6(x)

    def average(self, x: Value, side: tuple[int, int]) -> Value:
        """The average over all pixels."""
        return self.builder.pool(x, side)

    def dense(self, name: str, x: Value, side: tuple[int, int] = (1, 1)) -> Value:
        """A linear layer of all channels, rows and columns of so many pixels."""
        return self.conv(name, x, side=side)

    def filters(self, name: str) -> int:
        """Number of a convolution's filters."""
        return self._shape(name)[0]

    def side(self, name: str) -> int:
        """Pixels of a side of a convolution's kernel."""
        return self._shape(name)[-1]

    def _shape(self, name: str) -> tuple[int, ...]:
        packed = self.quantized.get(name)
        return packed.weights[0].codes.shape if packed else self.parameters[f"{name}.weight"].shape

    def count(self, stage: str) -> int:
        """Number of blocks of a stage, by the names of its parameters."""
        return len({name.split(".")[1] for name in self.parameters if name.startswith(f"{stage}.")})


def _as_kernel(weight: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """(F, C, KH, KW) of a convolution's weights, or of a linear layer's (F, C KH KW)."""
    return weight if weight.ndim == 4 else weight.reshape(len(weight), -1, *side)
