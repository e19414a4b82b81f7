"""The ONNX nodes of pooling, of padding and of shortcuts that sample and pad."""

from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common.errors import ExportError
from common.export.onnx_graph import GraphBuilder, Symbol
from common.export.onnx_layers import SAME, express
from common.kernels.global_mean import GlobalMean
from common.models.resnet_cifar import PadShortcut

_END = np.iinfo(np.int64).max
_PAD_MODES = {"CONSTANT": "constant", "REFLECT": "reflect"}


@express.register
def _(cell: nn.MaxPool2d, graph: GraphBuilder, x: Symbol) -> Symbol:
    steps: dict[str, Any] = {"kernel_shape": _pair(cell.kernel_size), "strides": _pair(cell.stride)}
    if cell.use_pad:
        if cell.return_indices:
            raise ExportError(f"ONNX: {graph.place}: expected pooling without return_indices; take MINDIR")
        _check_whole_windows(cell.max_pool.ceil_mode, graph)
        steps |= {"pads": list(cell.padding[-2:]) * 2, "dilations": list(cell.max_pool.dilation[-2:])}
    elif _is_same(cell):
        steps |= SAME
    return graph.add("MaxPool", x, **steps)


@express.register
def _(cell: nn.AvgPool2d, graph: GraphBuilder, x: Symbol) -> Symbol:
    steps: dict[str, Any] = {"kernel_shape": _pair(cell.kernel_size), "strides": _pair(cell.stride)}
    if cell.is_expand:
        pool = cell.avg_pool  # of three dimensions, the first one of size 1
        _check_whole_windows(pool.ceil_mode, graph)
        if pool.divisor_override:
            raise ExportError(f"ONNX: {graph.place}: expected pooling without divisor_override; take MINDIR")
        if pool.pad_mode == "PAD":
            top, bottom, left, right = pool.pad[-4:]
            steps |= {"pads": [top, left, bottom, right], "count_include_pad": int(pool.count_include_pad)}
            return graph.add("AveragePool", x, **steps)
    if _is_same(cell):
        steps |= SAME  # what is added is not counted
    return graph.add("AveragePool", x, **steps)


def _check_whole_windows(ceil_mode: bool, graph: GraphBuilder) -> None:
    """Runtimes differ in what they do with a last window that is cut off."""
    if ceil_mode:
        raise ExportError(f"ONNX: {graph.place}: expected pooling without ceil_mode; take MINDIR")


def _is_same(cell: nn.MaxPool2d | nn.AvgPool2d) -> bool:
    return str(cell.pad_mode).lower() == "same"


@express.register
def _(cell: GlobalMean, graph: GraphBuilder, x: Symbol) -> Symbol:
    return x.mean((2, 3))


@express.register
def _(cell: nn.Pad, graph: GraphBuilder, x: Symbol) -> Symbol:
    mode = _PAD_MODES.get(cell.mode)
    if mode is None:
        raise ExportError(
            f"ONNX: {graph.place}: expected padding with zeros or REFLECT, found {cell.mode}; take MINDIR"
        )
    sides = np.array(cell.paddings.asnumpy() if isinstance(cell.paddings, Tensor) else cell.paddings, np.int64)
    return graph.add("Pad", x, sides.T.reshape(-1), mode=mode)


@express.register
def _(cell: PadShortcut, graph: GraphBuilder, x: Symbol) -> Symbol:
    step = _pair(cell.sample.stride)
    sampled = graph.add("Slice", x, *(np.array(part, np.int64) for part in ([0, 0], [_END, _END], [2, 3], step)))
    return graph.add("Pad", sampled, np.array([0, cell.before, 0, 0, 0, cell.after, 0, 0], np.int64))


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value[-2:])
