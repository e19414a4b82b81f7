"""An ONNX graph that grows node by node, and the symbols that stand for its tensors."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mindspore import Tensor
from onnx import TensorProto, helper, numpy_helper

from common.quant.integer_weight import IntegerLayer
from common.quant.packing import pack


class Symbol:
    """A tensor of the graph, with what the ``construct`` of networks asks of a tensor."""

    shape = (0,)  # the number of images: in ONNX's Reshape a 0 takes over the size that is there

    def __init__(self, graph: "GraphBuilder", name: str):
        self.graph, self.name = graph, name

    def __add__(self, other: Any) -> "Symbol":
        return self.graph.add("Add", self, other)

    def __matmul__(self, other: Any) -> "Symbol":
        return self.graph.add("MatMul", self, other)

    @property
    def T(self) -> "Symbol":  # noqa: N802
        return self.graph.add("Transpose", self, perm=[1, 0])

    def mean(self, axes: tuple[int, ...], keep_dims: bool = False) -> "Symbol":
        return self.graph.add("ReduceMean", self, np.array(axes, np.int64), keepdims=int(keep_dims))

    def reshape(self, *shape: int) -> "Symbol":
        return self.graph.add("Reshape", self, np.array(shape, np.int64))


class GraphBuilder:
    """Nodes and constants, named by the cell that they belong to.

    Args:
        integers: integers of the quantized layers, by name.

    Attributes:
        place: name of the cell whose nodes are being added.
    """

    def __init__(self, integers: Mapping[str, IntegerLayer] | None = None):
        self.nodes, self.constants, self.integers, self.place = [], [], dict(integers or {}), ""
        self._names: Counter[str] = Counter()

    @contextlib.contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Nodes that are added in the block belong to this cell."""
        before, self.place = self.place, place
        try:
            yield
        finally:
            self.place = before

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> Symbol:
        """Add a node of one output; inputs that are no symbols become constants, floats of 32 bits."""
        name = self._name(operator)
        names = [self._input(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name, **attributes))
        return Symbol(self, name)

    def dequantized(self, integers: np.ndarray, scale: np.ndarray | float) -> Symbol:
        """Whole numbers from -128 to 255 times a scale, in 4 bits each if these suffice.

        Args:
            integers: whole numbers, (F, ...).
            scale: one scale, or one for each of the F.
        """
        scale = np.asarray(scale, np.float32)
        codes = self._integers(integers)
        axis = {"axis": 0} if scale.size > 1 else {}
        return self.add("DequantizeLinear", codes, scale if scale.size > 1 else scale.reshape(()), **axis)

    def _integers(self, values: np.ndarray) -> Symbol:
        low, high = int(values.min()), int(values.max())
        unsigned = low >= 0
        small = high <= 15 if unsigned else low >= -8 and high <= 7
        kind = f"{'U' if unsigned else ''}INT{4 if small else 8}"
        # ONNX stores two numbers of 4 bits in a byte, the first one in its lower half: as common.quant.packing does.
        codes = np.asarray(values, np.int16).astype(np.uint8)
        content = pack(codes & 15, 4) if small else codes
        name = self._name("integers")
        type_of = getattr(TensorProto, kind)
        self.constants.append(helper.make_tensor(name, type_of, values.shape, content.tobytes(), raw=True))
        return Symbol(self, name)

    def _input(self, value: Any) -> str:
        if isinstance(value, Symbol):
            return value.name
        array = value.asnumpy() if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = self._name("constant")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def _name(self, what: str) -> str:
        name = f"{self.place}.{what}".lstrip(".")
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}.{self._names[name]}"
