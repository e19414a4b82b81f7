"""The ONNX nodes of the layers that networks of the zoo are built of; a cell of other cells is what it computes."""

from functools import singledispatch
from typing import Any

from mindspore import nn

from common.errors import ExportError
from common.export.onnx_graph import GraphBuilder, Symbol
from common.kernels.conv import PlainConv2d
from common.kernels.padded_conv import PaddedConv2d, Sides
from common.models.densenet import DenseLayer
from common.quant.conv_geometry import conv_geometry

SAME = {"auto_pad": "SAME_UPPER"}


@singledispatch
def express(cell: nn.Cell, graph: GraphBuilder, *inputs: Any) -> Any:
    """Add the nodes of a call of a cell in evaluation: those of the cells that its ``construct`` calls.

    Args:
        cell: cell that is called; the kinds registered below have nodes of their own.
        graph: graph to add to.
        inputs: symbols or parameters.

    Raises:
        ExportError: a cell of MindSpore that is not among them.
    """
    if type(cell).__module__.startswith("mindspore."):
        raise ExportError(f"ONNX: no nodes are known for {type(cell).__name__} in {graph.place}; take MINDIR")
    return cell.construct(*inputs)


@express.register
def _(cell: nn.SequentialCell, graph: GraphBuilder, x: Symbol) -> Symbol:
    return cell.construct(x)


@express.register
def _(cell: nn.Conv2d, graph: GraphBuilder, x: Symbol) -> Symbol:
    geometry = conv_geometry(cell)
    pads = _padding(graph, geometry.padding, geometry.dilation)
    steps = {"strides": list(geometry.stride), "dilations": list(geometry.dilation), **pads}
    return graph.add("Conv", x, *_weights(cell), group=geometry.groups, **steps)


@express.register
def _(cell: PlainConv2d, graph: GraphBuilder, x: Symbol, weight: Any) -> Symbol:
    geometry = {"strides": [cell.stride] * 2, "pads": [cell.padding] * 4}
    return graph.add("Conv", x, weight, group=cell.groups, **geometry)


@express.register
def _(cell: PaddedConv2d, graph: GraphBuilder, x: Symbol, weight: Any) -> Symbol:
    pads = _padding(graph, cell.padding, cell.dilation)
    steps = {"strides": list(cell.stride), "dilations": list(cell.dilation), **pads}
    return graph.add("Conv", x, weight, group=cell.groups, **steps)


@express.register
def _(cell: nn.Dense, graph: GraphBuilder, x: Symbol) -> Symbol:
    if cell.activation_flag:
        raise ExportError(f"ONNX: expected no activation inside the linear layer {graph.place}; take MINDIR")
    return graph.add("Gemm", x, *_weights(cell), transB=1)


@express.register
def _(cell: nn.BatchNorm2d, graph: GraphBuilder, x: Symbol) -> Symbol:
    parameters = (cell.gamma, cell.beta, cell.moving_mean, cell.moving_variance)
    return graph.add("BatchNormalization", x, *parameters, epsilon=float(cell.eps))


@express.register
def _(cell: nn.ReLU, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Relu", x)


@express.register
def _(cell: nn.ReLU6, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Clip", x, 0.0, 6.0)


@express.register
def _(cell: nn.HSwish, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("HardSwish", x)


@express.register
def _(cell: nn.LeakyReLU, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("LeakyRelu", x, alpha=float(cell.alpha))


@express.register
def _(cell: nn.Sigmoid, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Sigmoid", x)


@express.register
def _(cell: nn.Tanh, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Tanh", x)


@express.register
def _(cell: nn.Flatten, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Flatten", x, axis=1)


@express.register
def _(cell: nn.Dropout, graph: GraphBuilder, x: Symbol) -> Symbol:
    return x


@express.register
def _(cell: DenseLayer, graph: GraphBuilder, x: Symbol) -> Symbol:
    return graph.add("Concat", x, cell.layer(x), axis=1)


def _padding(graph: GraphBuilder, padding: Sides | None, dilation: tuple[int, int]) -> dict[str, Any]:
    """The attribute of a convolution's padding; None stands for ``pad_mode`` same."""
    if padding is not None:
        top, bottom, left, right = padding
        return {"pads": [top, left, bottom, right]}
    if dilation != (1, 1):
        raise ExportError(
            f"ONNX: {graph.place}: expected no dilation where padding follows the image's size, found {dilation}; take "
            "MINDIR"
        )
    return SAME


def _weights(cell: nn.Conv2d | nn.Dense) -> list[Any]:
    return [cell.weight, cell.bias] if cell.has_bias else [cell.weight]
