"""ONNX nodes of recorded steps: what a network's ``construct`` does with functions and methods of tensors.

Shapes are those of the recording; where two recordings, of different numbers of images, differ, the size is left open.
"""

from typing import Any

import numpy as np
from mindspore import nn

from common.errors import ExportError
from common.export.onnx_graph import GraphBuilder, Symbol
from common.export.onnx_layers import express
from common.quant.layers import QuantConv2d
from common.runtime.recording import Recording, Ref, Step

_SAME = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "sqrt": "Sqrt", "abs": "Abs"}
_SAME |= {"hardswish": "HardSwish", "neg": "Neg"}
_OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "truediv": "Div",
    "div": "Div",
    "multiply": "Mul",
    "subtract": "Sub",
}
_END = np.iinfo(np.int64).max


class StepNodes:
    """Adds the nodes of a recording to a graph, while calls of cells do.

    Args:
        network: what was recorded.
        first: recording of some images.
        second: of another number of images.
        graph: to add to.
    """

    def __init__(self, network: nn.Cell, first: Recording, second: Recording, graph: GraphBuilder):
        self.cells, self.first, self.second, self.graph = dict(network.cells_and_names()), first, second, graph
        self.symbols: dict[int, Any] = {}

    def run(self, images: Symbol) -> Symbol:
        """The symbol of the logits.

        Raises:
            ExportError: a step whose nodes are not known.
        """
        self.symbols[0] = images
        for index, step in enumerate(self.first.steps):
            self.symbols[index + 1] = self._step(step, index + 1)
        return self.symbols[self.first.output.index]

    def _step(self, step: Step, index: int) -> Any:
        args, kwargs = self._resolved(step.args), {key: self._resolved(value) for key, value in step.kwargs.items()}
        if step.kind == "cell":
            return self.cells[step.target](*args, **kwargs)  # a call of a cell adds its nodes
        name = str(step.target).rpartition(".")[2] if isinstance(step.target, str) else type(step.target).__name__
        if isinstance(step.target, nn.Cell):
            return step.target(*args, **kwargs)
        try:
            return self._function(name.lower(), index, args, kwargs)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise ExportError(
                f"ONNX: no nodes are known for {name} with these arguments ({error}); take MINDIR"
            ) from None

    def _function(self, name: str, index: int, args: tuple, kwargs: dict[str, Any]) -> Any:
        if name in _SAME:
            return self.graph.add(_SAME[name], args[0])
        if name in _OPERATORS:
            return self.graph.add(_OPERATORS[name], *(_number(arg) for arg in args[:2]))
        make = getattr(self, f"_{name}", None)
        if make is None:
            raise ExportError(f"ONNX: no nodes are known for {name}; take MINDIR")
        return make(index, *args, **kwargs)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.symbols[value.index]
        if isinstance(value, tuple | list):
            return type(value)(self._resolved(part) for part in value)
        return value

    def _reshape(self, index: int, x: Symbol, *_shape: Any, **_named: Any) -> Symbol:
        return self.graph.add("Reshape", x, self._shape_of(index))

    _view = _flatten = _squeeze = _unsqueeze = _expand_dims = _reshape

    def _shape_of(self, index: int) -> np.ndarray:
        """The shape of a result, -1 where it follows the number of images."""
        shapes = [recording.values[index].shape for recording in (self.first, self.second)]
        sizes = [a if a == b else -1 for a, b in zip(*shapes)]
        if sizes.count(-1) > 1:
            raise ValueError(f"shapes {shapes[0]} and {shapes[1]} differ in more than one size")
        return np.array(sizes, np.int64)

    def _relu6(self, _index: int, x: Symbol) -> Symbol:
        return self.graph.add("Clip", x, 0.0, 6.0)

    def _leaky_relu(self, _index: int, x: Symbol, alpha: float = 0.2) -> Symbol:
        return self.graph.add("LeakyRelu", x, alpha=float(alpha))

    def _concat(self, _index: int, tensors: Any, axis: int = 0) -> Symbol:
        return self.graph.add("Concat", *tensors, axis=int(axis))

    _cat = _concat

    def _transpose(self, _index: int, x: Symbol, *order: Any, **_named: Any) -> Symbol:
        order = order[0] if len(order) == 1 and isinstance(order[0], tuple | list) else order
        return self.graph.add("Transpose", x, perm=[int(axis) for axis in order])

    _permute = _transpose

    def _mean(self, index: int, x: Symbol, axis: Any = None, keep_dims: bool = False, **named: Any) -> Symbol:
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        keep = keep_dims or named.get("keepdim", False)
        return self.graph.add("ReduceMean", x, np.array(axes, np.int64), keepdims=int(keep))

    _reduce_mean = _mean

    def _adaptive_avg_pool2d(self, index: int, x: Symbol, output_size: Any) -> Symbol:
        if self.first.values[index].shape[2:] != (1, 1):
            raise ValueError("an output of more than one pixel")
        return self.graph.add("GlobalAveragePool", x)

    def _getitem(self, index: int, x: Any, key: Any) -> Any:
        if isinstance(x, tuple | list):
            return x[key]
        keys = key if isinstance(key, tuple) else (key,)
        starts, ends, axes, steps, gone = [], [], [], [], []
        for axis, part in enumerate(keys):
            if isinstance(part, int):
                part, at = slice(part, part + 1 if part != -1 else _END), axis
                gone.append(at)
            if not isinstance(part, slice):
                raise ValueError(f"an index {part!r}")
            starts.append(part.start or 0)
            ends.append(_END if part.stop is None else part.stop)
            axes.append(axis)
            steps.append(part.step or 1)
        cut = self.graph.add("Slice", x, *(np.array(values, np.int64) for values in (starts, ends, axes, steps)))
        return self.graph.add("Squeeze", cut, np.array(gone, np.int64)) if gone else cut


def _number(value: Any) -> Any:
    return np.float32(value) if isinstance(value, int | float) else value


def leaves(network: nn.Cell) -> dict[str, nn.Cell]:
    """The cells of a network that have nodes of their own; all others are gone through."""
    kinds = (*(kind for kind in express.registry if kind is not object and kind is not nn.SequentialCell), QuantConv2d)
    lists = nn.SequentialCell | nn.CellList
    found: dict[str, nn.Cell] = {}
    for name, cell in network.cells_and_names():
        own = type(cell).__module__.startswith("mindspore.") and not isinstance(cell, lists)
        if name and (own or isinstance(cell, kinds)):
            found[name] = cell
    return found
