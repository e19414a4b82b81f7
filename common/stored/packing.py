"""The tensors of a packed file: the integers of all quantized layers, and everything else as one float tensor.

Beside the tensors of :mod:`common.quant.packed_layers` there is ``floats``: all other parameters of 32 bits in the
order of the network, one after the other. Their names and shapes are the network's own; metadata hold a digest of both,
so that the floats of another network are refused.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.errors import QuantizationError
from common.quant.integer_weight import IntegerLayer
from common.quant.packed_layers import LayerShape, pack_layers, unpack_layers
from common.stored.quantized_layers import belongs

Tensors = dict[str, np.ndarray]
_FLOATS = "floats"


@dataclass(frozen=True, eq=False)
class PackedNetwork:
    """A network as the content of a packed file.

    Attributes:
        tensors: tensors of the file.
        widths: bits of a code in the tensors that are stored packed.
        about: metadata of the tensors: names of the level tables, digest of the parameters.
    """

    tensors: Tensors
    widths: dict[str, int]
    about: dict[str, Any]


def pack_network(
    network: nn.Cell,
    layers: Mapping[str, IntegerLayer],
    training_only: Callable[[str], bool],
    changed: Mapping[str, np.ndarray],
) -> PackedNetwork:
    """The content of a packed file.

    Args:
        network: network with latent weights, or a frozen one.
        layers: integers of its quantized layers.
        training_only: whether a parameter, by its name, is no part of a frozen network.
        changed: parameters that replace the network's.
    """
    packed = pack_layers(layers)
    state = network_state.state(network)
    rest = {name: value for name, value in state.items() if not belongs(name, layers) and not training_only(name)}
    rest |= changed
    tensors = {**packed.tensors, **{name: value for name, value in rest.items() if value.dtype != np.float32}}
    floats = [value.ravel() for value in rest.values() if value.dtype == np.float32]
    if floats:
        tensors[_FLOATS] = np.concatenate(floats)
    return PackedNetwork(tensors, packed.widths, {"levels": packed.levels, "parameters": _digest(rest, layers)})


def unpack_network(
    network: nn.Cell,
    tensors: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
    shapes: Mapping[str, LayerShape],
    fill: Callable[[nn.Cell, Mapping[str, IntegerLayer]], Tensors],
) -> tuple[Tensors, dict[str, IntegerLayer]]:
    """All parameters of a frozen network from a packed file, and its integers.

    Args:
        network: frozen network.
        tensors: tensors of the file.
        about: metadata of the tensors, see :class:`PackedNetwork`.
        shapes: shapes of the quantized layers.
        fill: parameters of a frozen network's quantized layers from their integers.

    Raises:
        QuantizationError: the file does not fit the network.
    """
    left = dict(tensors)
    layers = unpack_layers(left, about["levels"], shapes)
    state = network_state.state(network)
    rest = {name: value for name, value in state.items() if not belongs(name, layers)}
    if about["parameters"] != _digest(rest, layers):
        raise QuantizationError("its parameters have other names or shapes than those of this network")
    floats, place, values = left.pop(_FLOATS, np.zeros(0, np.float32)), 0, {}
    for name, value in rest.items():
        if value.dtype == np.float32:
            values[name] = floats[place : place + value.size].reshape(value.shape)
            place += value.size
    if place != floats.size or floats.dtype != np.float32:
        raise QuantizationError(
            f"expected {place} float32 beside the quantized layers, found {floats.size} {floats.dtype}"
        )
    return {**left, **values, **fill(network, layers)}, layers


def _digest(rest: Mapping[str, np.ndarray], layers: Mapping[str, IntegerLayer]) -> str:
    """Digest of the names and shapes of all parameters, in their order."""
    shapes = [[name, list(value.shape)] for name, value in rest.items()]
    codes = [[name, list(layer.weights[0].codes.shape)] for name, layer in layers.items()]
    return hashlib.sha256(json.dumps([shapes, codes]).encode()).hexdigest()[:16]
