"""Networks as ONNX models, and such models as functions of images."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from mindspore import nn
from onnx import TensorProto, helper

from common.data import Preprocessing
from common.errors import ConfigError, ExportError
from common.export import onnx_pooling, onnx_quantizers  # noqa: F401  their nodes are registered
from common.export.onnx_graph import GraphBuilder, Symbol
from common.export.onnx_layers import express
from common.export.onnx_steps import StepNodes, leaves
from common.export.onnx_versions import needed, spelled
from common.models.norm_act import apart
from common.quant.integer_weight import IntegerLayer
from common.runtime.recording import record
from common.runtime.written import COUNTS

INPUT, OUTPUT = "images", "logits"
_QUIET = 3  # errors only


def encode(
    network: nn.Cell,
    image_size: int,
    classes: int,
    about: Mapping[str, str] | None = None,
    integers: Mapping[str, IntegerLayer] | None = None,
) -> bytes:
    """The content of an ONNX file of the exact form: ``images`` (N, 3, S, S) float32 to ``logits`` (N, classes), any N.

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
    return finish(graph, logits, image_size, classes, about)


def about_of(metadata: Mapping[str, Any], preprocessing: Preprocessing) -> dict[str, str]:
    """What a file says about a network with these records."""
    return {"network": str(metadata["network"]), "preprocessing": json.dumps(preprocessing.to_dict())}


def finish(
    graph: GraphBuilder,
    logits: Symbol,
    image_size: int,
    classes: int,
    about: Mapping[str, str] | None = None,
    observed: Sequence[str] = (),
) -> bytes:
    """The content of the file of a graph, of the oldest version of ONNX that has its operators.

    Args:
        graph: with all nodes.
        logits: its result.
        image_size: side S of the images in pixels.
        classes: length of the logits.
        about: metadata of the file.
        observed: names of further results, (N, C, H, W).
    """
    version = needed(graph.nodes, graph.constants)
    final = helper.make_node("Identity", [logits.name], [OUTPUT], OUTPUT)
    images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, image_size, image_size])
    results = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])]
    results += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in observed]
    nodes = [*spelled(graph.nodes, graph.constants, version), final]
    read = {name for node in nodes for name in node.input}
    constants = [constant for constant in graph.constants if constant.name in read]
    described = helper.make_graph(nodes, "network", [images], results, constants)
    opset = [helper.make_opsetid("", version.opset)]
    model = helper.make_model(described, opset_imports=opset, ir_version=version.ir, producer_name="lowbitzoo")
    helper.set_model_props(model, dict(about or {}))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def decode(content: bytes, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """The function of an ONNX file's content, run by onnxruntime on CPU: images to logits.

    Args:
        content: content of the file.
        threads: number of threads of onnxruntime; None: its own choice.
    """
    opened = session(content, threads)
    return lambda images: opened.run([OUTPUT], {INPUT: images})[0]


def session(content: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """An ONNX file's content, ready to run by onnxruntime on CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = _QUIET, threads or 0
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _traced(network: nn.Cell, graph: GraphBuilder) -> Symbol:
    with _calls_of_cells(_nodes_of_calls(network, graph)):
        return network(Symbol(graph, INPUT))


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
        return StepNodes(network, *recordings, graph).run(Symbol(graph, INPUT))


@contextlib.contextmanager
def _calls_of_cells(take: Callable) -> Iterator[None]:
    """While the block runs, calling a cell calls ``take(cell, *inputs)``."""
    before = nn.Cell.__call__
    nn.Cell.__call__ = take
    try:
        yield
    finally:
        nn.Cell.__call__ = before
