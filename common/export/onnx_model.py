"""Networks as ONNX models, and such models as functions of images."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
import onnxruntime
from mindspore import nn
from onnx import TensorProto, helper

from common.errors import ConfigError, ExportError
from common.export import onnx_pooling, onnx_quantizers  # noqa: F401  their nodes are registered
from common.export.onnx_graph import GraphBuilder, Symbol
from common.export.onnx_layers import express
from common.export.onnx_steps import StepNodes, leaves
from common.models.norm_act import apart
from common.quant.integer_weight import IntegerLayer
from common.runtime.recording import record
from common.runtime.written import COUNTS

OPSET, IR_VERSION = 21, 10  # the first ones with integers of 4 bits
_INPUT, _OUTPUT = "images", "logits"
_QUIET = 3  # errors only


def encode(
    network: nn.Cell,
    image_size: int,
    classes: int,
    about: Mapping[str, str] | None = None,
    integers: Mapping[str, IntegerLayer] | None = None,
) -> bytes:
    """The content of an ONNX file: ``images`` (N, 3, S, S) float32 to ``logits`` (N, classes), any N.

    The network's own ``construct`` runs once with symbols in the place of tensors; each cell that it calls adds its
    nodes, see :mod:`common.export.onnx_layers`.

    Args:
        network: network of MindSpore's own operators.
        image_size: side S of the images in pixels.
        classes: length of the logits.
        about: metadata of the file.
        integers: integers of the quantized layers, by name.

    Raises:
        ExportError: a cell whose nodes are not known, or a ``construct`` that asks for more than symbols have.
    """
    graph = GraphBuilder(integers)
    with apart(network):
        try:
            logits = _traced(network.set_train(False), graph)
        except ExportError as error:
            graph = GraphBuilder(integers)
            logits = _recorded(network, image_size, graph, error)
    final = helper.make_node("Identity", [logits.name], [_OUTPUT], _OUTPUT)
    shapes = (_INPUT, ["N", 3, image_size, image_size]), (_OUTPUT, ["N", classes])
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in shapes]
    described = helper.make_graph([*graph.nodes, final], "network", *ends, graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(described, opset_imports=opset, ir_version=IR_VERSION, producer_name="lowbitzoo")
    helper.set_model_props(model, dict(about or {}))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def decode(content: bytes, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """The function of an ONNX file's content, run by onnxruntime on CPU: images to logits.

    Args:
        content: content of the file.
        threads: number of threads of onnxruntime; None: its own choice.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = _QUIET, threads or 0
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([_OUTPUT], {_INPUT: images})[0]


def _traced(network: nn.Cell, graph: GraphBuilder) -> Symbol:
    with _calls_of_cells(_nodes_of_calls(network, graph)):
        return network(Symbol(graph, _INPUT))


def _nodes_of_calls(network: nn.Cell, graph: GraphBuilder) -> Callable:
    """What a call of a cell becomes: its nodes."""
    names = {id(cell): name for name, cell in network.cells_and_names()}

    def call(cell: nn.Cell, *inputs):
        with graph.inside(names.get(id(cell), graph.place)):
            try:
                return express(cell, graph, *inputs)
            except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
                kind, reason = type(cell).__name__, str(error).split("\n")[0]
                raise ExportError(
                    f"ONNX: {kind} {graph.place} computes with what has no nodes here ({reason}); take MINDIR"
                ) from error

    return call


def _recorded(network: nn.Cell, image_size: int, graph: GraphBuilder, refused: ExportError) -> Symbol:
    """The logits by recorded steps, for a ``construct`` that asks for more than symbols have."""
    cells = leaves(network)
    batches = [np.zeros((count, 3, image_size, image_size), np.float32) for count in COUNTS]
    try:
        recordings = [record(network, batch, cells, deep=True) for batch in batches]
    except ConfigError:
        raise refused from None
    with _calls_of_cells(_nodes_of_calls(network, graph)):
        return StepNodes(network, *recordings, graph).run(Symbol(graph, _INPUT))


@contextlib.contextmanager
def _calls_of_cells(take: Callable) -> Iterator[None]:
    """While the block runs, calling a cell calls ``take(cell, *inputs)``."""
    before = nn.Cell.__call__
    nn.Cell.__call__ = take
    try:
        yield
    finally:
        nn.Cell.__call__ = before
