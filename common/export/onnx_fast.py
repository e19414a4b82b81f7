"""A network as the plain ONNX file that onnxruntime and OpenVINO turn into their int8 kernels.

It computes what the network computes but for three things: images, and values that shortcuts, pooling and norms read,
have 256 levels of the range that calibration images show; weights that are no 8-bit integers, of float layers but the
last too, have 255 levels of each filter's largest; biases are whole steps of the sums. A network without grids of
activations is computed in floats, BatchNorm inside its weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from common.data import ImageSource, Preprocessing
from common.engine.description import Description
from common.errors import ConfigError, ExportError, QuantizationError
from common.export import onnx_model
from common.export.described import describe_network
from common.export.onnx_fast_nodes import FastNodes, Ranges, has_integers
from common.stored.network import StoredNetwork

CALIBRATION = 128  # images
_AT_ONCE = 16  # of them


@dataclass(frozen=True)
class FastFile:
    """What is written.

    Attributes:
        content: of the ONNX file.
        note: one line on what it computes with.
    """

    content: bytes
    note: str


def calibration(images: ImageSource, preprocessing: Preprocessing) -> np.ndarray:
    """Some images of all classes as the network sees them, (N, 3, S, S)."""
    seen = images.spread(min(CALIBRATION, len(images)))
    return seen.eval_batch(np.arange(len(seen)), preprocessing)


def encode(stored: StoredNetwork, images: np.ndarray, preprocessing: Preprocessing) -> FastFile:
    """The fast form of a packed or a float network.

    Args:
        stored: the network.
        images: (N, 3, S, S) float32 as the network sees them; the first :data:`CALIBRATION` show the ranges.
        preprocessing: of the images, for the file's metadata.

    Raises:
        ExportError: a network that is being trained, or a layer that has no such form.
    """
    if stored.kind not in ("packed", "float"):
        raise ExportError(
            f"ONNX, fast form: expected a packed network, found a {stored.kind} one; give the packed file that "
            "training, conversion or eval.py --save_checkpoint writes"
        )
    side, classes = images.shape[-1], stored.metadata["num_classes"]
    about = onnx_model.about_of(stored.metadata, preprocessing)
    try:
        description = describe_network(stored, side)
    except (QuantizationError, ConfigError) as error:
        reason = str(error).removeprefix("integer engine: ")  # the form has the engine's instructions
        raise ExportError(f"ONNX, fast form: {reason}; take --form exact") from None
    return encode_description(description, images, classes, about)


def encode_description(
    description: Description, images: np.ndarray, classes: int, about: Mapping[str, str]
) -> FastFile:
    """The fast form of a description; arguments as of :func:`encode`."""
    side = images.shape[-1]
    if not has_integers(description):
        note = "fast form: no activation is quantized, so weights are float32 with BatchNorm inside: that is faster"
        return FastFile(_model(FastNodes(description, onnx_model.INPUT, {}), side, classes, about), note)
    seen = images[:CALIBRATION]
    nodes = FastNodes(description, onnx_model.INPUT, ranges_of(description, seen, classes))
    note = f"fast form: images, shortcuts and norms on 256 levels of their ranges, taken from {len(seen)} images"
    return FastFile(_model(nodes, side, classes, about), note)


def ranges_of(description: Description, images: np.ndarray, classes: int) -> Ranges:
    """Smallest and largest of the values that the fast form needs the ranges of, on images (N, 3, S, S)."""
    nodes = FastNodes(description, onnx_model.INPUT, None)
    names = {name: symbol.name for name, symbol in nodes.observed.items()}
    if not names:
        return {}
    content = onnx_model.finish(nodes.graph, nodes.logits, images.shape[-1], classes, observed=list(names.values()))
    session = onnx_model.session(content)
    lows, highs = [], []
    for start in range(0, len(images), _AT_ONCE):
        values = session.run(list(names.values()), {onnx_model.INPUT: images[start : start + _AT_ONCE]})
        lows.append([float(value.min()) for value in values])
        highs.append([float(value.max()) for value in values])
    return dict(zip(names, zip(np.min(lows, 0).tolist(), np.max(highs, 0).tolist())))


def _model(nodes: FastNodes, side: int, classes: int, about: Mapping[str, str]) -> bytes:
    return onnx_model.finish(nodes.graph, nodes.logits, side, classes, about)
