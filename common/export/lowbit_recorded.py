"""A user's own network as steps of the integer engine: its forward pass, recorded once, layer by layer."""

from collections import Counter
from collections.abc import Mapping
from functools import singledispatchmethod
from typing import Any

import numpy as np
from mindspore import nn

from common.engine.builder import Value, refuse
from common.engine.description import Description
from common.engine.even_windows import Window
from common.engine.networks.layers import EPSILON, Layers
from common.kernels.global_mean import GlobalMean
from common.quant.conv_geometry import ConvGeometry, conv_geometry, pair
from common.quant.integer_weight import IntegerLayer
from common.quant.layers import QuantConv2d, QuantDense
from common.runtime.recording import Recording, Ref, Step, record, refs


def describe_recorded(
    network: nn.Cell, parameters: Mapping[str, np.ndarray], quantized: Mapping[str, IntegerLayer], side: int
) -> Description:
    """The description of a network by what it computes of one image.

    Args:
        network: packed network, in evaluation.
        parameters: of the network by name, float32.
        quantized: its quantized layers by name.
        side: of its images in pixels.

    Raises:
        QuantizationError: a layer, with its name, or a function that the engine has no instructions for.
        ConfigError: a ``construct`` that cannot be recorded.
    """
    if choosing := [name for name, layer in quantized.items() if len(layer.weights) > 1]:
        raise refuse(
            f"{choosing[0]} chooses its bits for each image, which only networks of the zoo have instructions for"
        )
    cells = {name: cell for name, cell in network.cells_and_names() if name and _is_leaf(cell)}
    recording = record(network.set_train(False), np.zeros((1, 3, side, side), np.float32), cells, deep=True)
    return _Steps(network, recording, Layers(parameters, quantized, (side, side))).description()


def _is_leaf(cell: nn.Cell) -> bool:
    own = type(cell).__module__.startswith("mindspore.") and not isinstance(cell, nn.SequentialCell | nn.CellList)
    return own or isinstance(cell, QuantConv2d | QuantDense | GlobalMean) or _geometry(cell) is not None


def _geometry(cell: nn.Cell) -> ConvGeometry | None:
    """What a method's own convolution, such as AdderQuant's, says of its windows."""
    return getattr(cell, "conv_geometry", None)


class _Steps:
    """The values of a recording, step by step.

    Args:
        network: what was recorded.
        recording: of one image.
        layers: what the steps are added to.
    """

    def __init__(self, network: nn.Cell, recording: Recording, layers: Layers):
        self.cells, self.recording, self.layers = dict(network.cells_and_names()), recording, layers
        self.builder, self.values = layers.builder, {0: layers.builder.image}
        self.uses = Counter(ref.index for step in recording.steps for ref in refs((step.args, step.kwargs)))
        self.sides: dict[int, tuple[int, int]] = {}  # rows and columns of values that are flattened

    def description(self) -> Description:
        """All steps, and the result."""
        for index, step in enumerate(self.recording.steps, 1):
            self.values[index] = value = self._value(step, index)
            if isinstance(value, Value) and self.uses[index] > 1:
                self.builder.name(value)  # stays, whatever takes its place
        return self.builder.finish(self.values[self.recording.output.index])

    def _value(self, step: Step, index: int) -> Any:
        x = self._given(step.args[0]) if step.args else None
        if step.kind == "cell":
            self.place, self.index, self.source = step.target, index, step.args[0].index
            return self.call(self.cells[step.target], x)
        if isinstance(step.target, nn.Cell):
            self.place, self.index, self.source = type(step.target).__name__, index, step.args[0].index
            return self.call(step.target, x)
        name = str(step.target).rpartition(".")[2] if isinstance(step.target, str) else type(step.target).__name__
        make = getattr(self, f"_{name.lower()}", None)
        if make is None:
            raise refuse(f"the function {name} is not among its instructions")
        return make(index, *map(self._given, step.args), **{key: self._given(v) for key, v in step.kwargs.items()})

    def _given(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.values[value.index]
        return type(value)(map(self._given, value)) if isinstance(value, tuple | list) else value

    def _shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.recording.values[index].shape)

    @singledispatchmethod
    def call(self, cell: nn.Cell, x: Value) -> Value:
        """The value of a cell's call."""
        if (geometry := _geometry(cell)) is not None:
            return self._convolution(geometry, x)
        raise refuse(f"{self.place} is a {type(cell).__name__}, which is not among its instructions")

    @call.register
    def _(self, cell: nn.Conv2d, x: Value) -> Value:
        return self._convolution(conv_geometry(cell), x)

    @call.register
    def _(self, cell: QuantConv2d, x: Value) -> Value:
        inner, shape = cell.conv, cell.weight.shape
        stride, padding = (getattr(inner, field) for field in ("stride", "padding"))
        dilation = pair(getattr(inner, "dilation", 1))
        sides = (padding,) * 4 if isinstance(padding, int) else padding
        groups = getattr(inner, "groups", 1)
        return self._convolution(ConvGeometry(shape[2:], pair(stride), sides, dilation, groups), x)

    def _convolution(self, geometry: ConvGeometry, x: Value) -> Value:
        _, channels, height, width = self._shape(self.source)
        if len(strides := {*geometry.stride}) > 1:
            raise refuse(f"{self.place} has strides of {geometry.stride}, which are not among its instructions")
        padding, stride = geometry.padding_of(height, width), strides.pop()
        if not 1 < geometry.groups == channels == self._shape(self.index)[1]:
            return self.layers.conv_of(self.place, x, stride, Window(padding, geometry.dilation, geometry.groups))
        y = self.layers.depthwise_of(self.place, x, stride, Window(padding, geometry.dilation))
        offset = self.layers.parameters.get(f"{self.place}.bias")
        return y if offset is None else self.builder.affine(y, np.ones(channels), offset.astype(np.float64))

    @call.register(nn.Dense)
    @call.register(QuantDense)
    def _(self, cell: nn.Cell, x: Value) -> Value:
        if getattr(cell, "activation_flag", False):
            raise refuse(f"{self.place} has an activation inside, which is not among its instructions")
        return self.layers.dense(self.place, x, self.sides.get(self.source, (1, 1)))

    @call.register(nn.BatchNorm2d)
    @call.register(nn.BatchNorm1d)
    def _(self, cell: nn.Cell, x: Value) -> Value:
        if not np.isclose(cell.eps, EPSILON, rtol=1e-6):
            raise refuse(f"{self.place} has an epsilon of {cell.eps}, expected {EPSILON}")
        return self.layers.norm(self.place, x)

    @call.register
    def _(self, cell: nn.ReLU, x: Value) -> Value:
        return self.layers.relu(x)

    @call.register
    def _(self, cell: nn.ReLU6, x: Value) -> Value:
        return self.layers.relu6(x)

    @call.register(nn.Flatten)
    @call.register(nn.Dropout)
    @call.register(nn.Identity)
    def _(self, cell: nn.Cell, x: Value) -> Value:
        return self._reshape(self.index, x)

    @call.register
    def _(self, cell: GlobalMean, x: Value) -> Value:
        return self.builder.pool(x, self._shape(self.source)[2:])

    @call.register
    def _(self, cell: nn.AdaptiveAvgPool2d, x: Value) -> Value:
        return self._adaptive_avg_pool2d(self.index, x, cell.adaptive_avgpool2d.output_size)

    @call.register(nn.MaxPool2d)
    @call.register(nn.AvgPool2d)
    def _(self, cell: nn.Cell, x: Value) -> Value:
        kernel, strides, padding = pair(cell.kernel_size), set(pair(cell.stride)), _padding(cell)
        maximum, pool = isinstance(cell, nn.MaxPool2d), getattr(cell, "avg_pool", None)
        _, _, height, width = self._shape(self.source)
        rows, columns = self._shape(self.index)[2:]
        counted = padding == 0 or maximum or getattr(pool, "count_include_pad", True)
        right = len(strides) == 1 and padding is not None and counted and not getattr(pool, "divisor_override", None)
        if right:
            stride = strides.copy().pop()
            made = [(size + 2 * padding - side) // stride + 1 for size, side in zip((height, width), kernel)]
            right = made == [rows, columns]
        if not right:
            raise refuse(f"{self.place} pools windows that are cut off or uneven, which is not among its instructions")
        return self.builder.pool(x, kernel, stride, padding, maximum)

    def _relu(self, _index: int, x: Value) -> Value:
        return self.layers.relu(x)

    def _relu6(self, _index: int, x: Value) -> Value:
        return self.layers.relu6(x)

    def _add(self, _index: int, x: Value, y: Value) -> Value:
        if not isinstance(x, Value) or not isinstance(y, Value):
            raise refuse("a sum with a number is not among its instructions")
        return self.builder.add(x, y)

    def _mean(self, index: int, x: Value, axis: Any = None, *_keep: Any, **_named: Any) -> Value:
        source = self._source(index)
        if len(self._shape(source)) != 4 or tuple(axis or ()) not in ((2, 3), (-2, -1)):
            raise refuse(f"a mean over axes {axis} is not among its instructions")
        return self.builder.pool(x, self._shape(source)[2:])

    def _adaptive_avg_pool2d(self, index: int, x: Value, output_size: Any) -> Value:
        if pair(output_size) != (1, 1):
            raise refuse(f"an adaptive average of {output_size} pixels is not among its instructions")
        return self.builder.pool(x, self._shape(self._source(index))[2:])

    def _concat(self, index: int, tensors: Any, axis: int = 0) -> Value:
        if axis not in (1, -3):
            raise refuse(f"a concatenation over axis {axis} is not among its instructions")
        every, before, total = self._shape(index)[1], 0, None
        parts = self.recording.steps[index - 1].args[0]
        for x, ref in zip(tensors, parts):
            part = self.builder.take(x, before=before, filters=every)
            total = part if total is None else self.builder.add(total, part)
            before += self._shape(ref.index)[1]
        return total

    _cat = _concat

    def _reshape(self, index: int, x: Value, *_shape: Any, **_named: Any) -> Value:
        source = self._source(index)
        before, after = self._shape(source), self._shape(index)
        if len(before) == 4 and after == (1, int(np.prod(before))):
            self.sides[index] = before[2:]
        elif after == before:
            self.sides[index] = self.sides.get(source, (1, 1))
        else:
            raise refuse(f"the shape {after} of what was {before} is not among its instructions")
        return x

    _view = _flatten = _squeeze = _reshape

    def _source(self, index: int) -> int:
        return next(refs(self.recording.steps[index - 1].args)).index


def _padding(cell: nn.Cell) -> int | None:
    """The same on all sides; None where it is not, or depends on the image's size."""
    mode = str(cell.pad_mode).lower()
    if mode == "valid":
        return 0
    if mode != "pad":
        return 0 if set(pair(cell.kernel_size)) == {1} else None
    given = cell.avg_pool.pad if isinstance(cell, nn.AvgPool2d) else cell.padding
    sides = {given} if isinstance(given, int) else set(given[-2:])
    return sides.pop() if len(sides) == 1 else None
