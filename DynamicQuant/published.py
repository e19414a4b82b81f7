r"""The published MindSpore network, ``resnet18_dq.ckpt``, as a latent network of this method.

By its public description it is a ResNet-18 with DoReFa's quantizers at a target of 4 bits, which differs in two points:
one choice of each image holds for all layers, shortcuts included, and no ReLU stands between the controller's layers.
The tensors of :class:`~DynamicQuant.network.DynamicNetwork` can say both: every layer gets the same scores, and
:math:`z = \mathrm{relu}(z) - \mathrm{relu}(-z)` for the scores z, which are linear in the controller's input.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from common.checkpoint import Checkpoint
from common.errors import CheckpointError
from common.stored.float_network import from_published
from DynamicQuant.bit_controller import GRID, HIDDEN
from DynamicQuant.convert import chooses
from DynamicQuant.quant_config import QuantConfig

CONFIG = QuantConfig(bits=4, quantizer="dorefa", image_size=224, dynamic_shortcuts=True)
_CONTROLLER = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
_UNUSED = (".quan_w.", ".quan_a.")  # quantizers: they hold nothing but a scale that follows from the bits

Tensors = dict[str, np.ndarray]


def published_network(content: Checkpoint, architecture: str) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by our names, and metadata, of a file without metadata: the published network, or a float one.

    Raises:
        CheckpointError: the controller in the file has another shape.
    """
    if not set(_CONTROLLER) <= content.tensors.keys():
        return from_published(content, architecture)
    tensors = {name: value for name, value in content.tensors.items() if not any(part in name for part in _UNUSED)}
    controller = [tensors.pop(name) for name in _CONTROLLER]
    latent, chosen = {}, 0
    for name, value in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if not layer.startswith("layer") or tensors.get(f"{layer}.weight") is None:
            latent[name] = value
        elif leaf == "weight":  # a bias beside it is never added there
            latent |= {name: value, **_quantizers(layer)}
            chosen += chooses(layer, CONFIG)
    latent |= {**_controller(controller, chosen, str(content.path)), **_noise()}
    classes = len(np.atleast_1d(tensors.get("fc.bias", np.zeros(1000))))
    metadata = {"kind": "latent", "network": "resnet18", "num_classes": classes}
    return latent, {**metadata, "settings": asdict(CONFIG)}


def _quantizers(layer: str) -> Tensors:
    """The parameters of a layer's quantizers: scales and clips of 1, as DoReFa has them."""
    if chooses(layer, CONFIG):
        widths, of_weight, of_input = CONFIG.candidates, layer, layer
    else:
        widths, of_weight, of_input = (CONFIG.bits,), f"{layer}.quantize_weight", f"{layer}.quantize_input"
    bits, ones = np.array(widths, np.int32), np.ones(len(widths), np.float32)
    tensors = {f"{layer}.quantize_weight.scale": ones, f"{of_input}.clip": ones[:1]}
    return tensors | {f"{place}.bits": bits for place in (of_weight, of_input)}


def _noise() -> Tensors:
    """Parameters that only training needs, with their first values."""
    states = dict.fromkeys(("choose.noise.state", "controller.dropout.noise.state"), np.zeros(2, np.int64))
    return {"choose.level": np.ones(1, np.float32), **states}


def _controller(tensors: list[np.ndarray], layers: int, path: str) -> Tensors:
    """Our controller's tensors: its hidden units are the scores and their negatives, the rest of them are unused."""
    first, first_bias, last, last_bias = (value.astype(np.float64) for value in tensors)
    count, inputs = len(CONFIG.candidates), 64 * GRID**2
    shapes = [(HIDDEN, inputs), (HIDDEN,), (count, HIDDEN), (count,)]
    if [value.shape for value in tensors] != shapes:
        raise CheckpointError(f"{path}: expected fc1 and fc2 of {shapes}, found {[value.shape for value in tensors]}")
    weight, bias = last @ first, last @ first_bias + last_bias
    hidden, hidden_bias = np.zeros((HIDDEN, inputs)), np.zeros(HIDDEN)
    hidden[: 2 * count], hidden_bias[: 2 * count] = np.r_[weight, -weight], np.r_[bias, -bias]
    scores = np.zeros((count, HIDDEN))
    scores[:, : 2 * count] = np.c_[np.eye(count), -np.eye(count)]
    ours = {
        "controller.hidden.weight": hidden.reshape(HIDDEN, 64, GRID, GRID),
        "controller.hidden.bias": hidden_bias,
        "controller.last.weight": np.tile(scores, (layers, 1)).reshape(-1, HIDDEN, 1, 1),
        "controller.last.bias": np.zeros(layers * count),
    }
    return {name: value.astype(np.float32) for name, value in ours.items()}
