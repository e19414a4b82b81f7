"""The oldest operator set that an ONNX graph is good for, and the oldest onnxruntime that reads it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Version:
    """One version of ONNX.

    Attributes:
        opset: of its operators.
        ir: of its files.
        onnxruntime: the oldest one that reads it: by its table of versions, and of 4 bits by trying.
    """

    opset: int
    ir: int
    onnxruntime: str

    def __str__(self) -> str:
        return f"opset {self.opset}, read by onnxruntime {self.onnxruntime} or newer"


PLAIN = Version(13, 7, "1.6")  # scales of each channel
_OF_OPERATORS = {"HardSwish": Version(14, 7, "1.8")}
_SMALL = Version(21, 10, "1.19")  # integers of 4 bits: 1.18 knows the opset, but refuses them
_SMALL_TYPES = (TensorProto.INT4, TensorProto.UINT4)


def needed(nodes: Iterable[NodeProto], constants: Iterable[TensorProto]) -> Version:
    """The oldest version that has all operators and types, :data:`PLAIN` at least."""
    found = [_OF_OPERATORS.get(node.op_type, PLAIN) for node in nodes]
    found += [_SMALL for constant in constants if constant.data_type in _SMALL_TYPES]
    return max([PLAIN, *found], key=lambda version: version.opset)


def version_of(content: bytes) -> Version:
    """The version of a file that :func:`needed` was asked for."""
    graph = onnx.load_model_from_string(content).graph
    return needed(graph.node, graph.initializer)


def spelled(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], version: Version) -> list[NodeProto]:
    """The nodes as a version spells them: before opset 18 the axes of ReduceMean are an attribute."""
    if version.opset >= 18:
        return list(nodes)
    values = {constant.name: constant for constant in constants}
    return [_with_axes(node, values) if node.op_type == "ReduceMean" else node for node in nodes]


def _with_axes(node: NodeProto, values: dict[str, TensorProto]) -> NodeProto:
    attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
    axes = numpy_helper.to_array(values[node.input[1]]).tolist()
    return helper.make_node("ReduceMean", node.input[:1], node.output, node.name, axes=axes, **attributes)
