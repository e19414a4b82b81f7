r"""The tensors of a packed file: codes of exactly the widths that are used, nothing latent.

=====================  ==========================================================================================
tensor                 holds
=====================  ==========================================================================================
``LAYER.codes_K``      codes 0 to :math:`2^K - 1` of a layer's weights, K bits each; of a dynamic layer once for each
                       of its candidates: DoReFa's grids of different K are not nested, no set follows from another
``gains``              of all layers in their order, one for each set of codes, float32
``clips``              of all layers' activations, float32
the rest               by its name: BatchNorm, controller, first and last layer
=====================  ==========================================================================================
"""

from typing import Any

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.quant.dorefa import from_int
from common.quant.layers import QuantConv2d
from DynamicQuant.quant import DynamicConv2d

Tensors = dict[str, np.ndarray]


def quantized_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """Static and dynamic convolutions of a network by name, in the order of its description."""
    kinds = QuantConv2d | DynamicConv2d
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, kinds)}


def pack(network: nn.Cell) -> tuple[Tensors, dict[str, int]]:
    """Tensors of a file, and bits of those that are codes, of a network with latent weights."""
    layers = quantized_layers(network)
    found = {name: value for name, value in network_state.state(network).items() if _is_kept(name, layers)}
    packed, gains, clips = {}, [], []
    for name, layer in layers.items():
        for codes, bits, gain in _codes(layer):
            found[f"{name}.codes_{bits}"], packed[f"{name}.codes_{bits}"] = codes, bits
            gains.append(gain)
        clips.append(_clip(layer).asnumpy()[0])
    return {**found, "gains": np.array(gains, np.float32), "clips": np.array(clips, np.float32)}, packed


def unpack(network: nn.Cell, tensors: Tensors, metadata: dict[str, Any] | None = None) -> Tensors:
    """All tensors of a frozen network from those of :func:`pack`.

    Raises:
        KeyError, ValueError, IndexError: they do not fit the network.
    """
    tensors, bits_of = dict(tensors), network_state.state(network)
    gains, clips = iter(tensors.pop("gains").tolist()), iter(tensors.pop("clips").tolist())
    for name, layer in quantized_layers(network).items():
        dynamic = isinstance(layer, DynamicConv2d)
        bits = bits_of[f"{name}.bits" if dynamic else f"{name}.quantize_weight.bits"]
        sets = [_weights(tensors, f"{name}.codes_{own}", int(own), gains) for own in bits]
        tensors[f"{name}.weight"] = np.stack(sets) if dynamic else sets[0]
        own = {f"{name}.bits"} if dynamic else {f"{name}.quantize_weight.bits", f"{name}.quantize_input.bits"}
        tensors |= {place: bits_of[place] for place in own}
        tensors[f"{name}.clip" if dynamic else f"{name}.quantize_input.clip"] = np.array([_next(clips)], np.float32)
    if next(gains, None) is not None or next(clips, None) is not None:
        raise ValueError("values left over")
    return tensors


def _codes(layer: nn.Cell) -> list[tuple[np.ndarray, int, np.float32]]:
    """Codes, bits and gain of each width of a layer."""
    weight = layer.weight.asnumpy()
    if isinstance(layer, DynamicConv2d):
        return layer.quantize_weight.to_int(weight)
    return [layer.quantize_weight.to_int(weight)]


def _clip(layer: nn.Cell):
    return layer.clip if isinstance(layer, DynamicConv2d) else layer.quantize_input.clip


def _weights(tensors: Tensors, name: str, bits: int, gains) -> np.ndarray:
    codes = tensors.pop(name)
    if codes.dtype != np.uint8 or codes.max() >= 2**bits:
        raise ValueError(f"codes of more than {bits} bits in {name}")
    return from_int(codes, bits, np.float32(_next(gains)))


def _next(values) -> float:
    found = next(values, None)
    if found is None:
        raise ValueError("too few values")
    return found


def _is_kept(name: str, layers: dict[str, nn.Cell]) -> bool:
    """Whether a parameter is stored by its name: it is neither a quantized layer's nor noise of training."""
    training = name.endswith("noise.state") or name == "choose.level"
    return not training and not any(name.startswith(f"{layer}.") for layer in layers)
