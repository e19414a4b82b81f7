"""The tensors of a packed file: level numbers of all channels of k bits together, so that each takes k bits.

======================  ===============================================================================
tensor                  holds
======================  ===============================================================================
``codes_1`` ... ``_4``  level numbers of the channels of that many bits, layer by layer, packed
``weight_bits``         bits of every output channel of the multi-bit layers, packed in 3 bits
``input_bits``          bits of every input channel of them, packed in 3 bits
``scales``              of every output channel that has bits, float32
``ends``                codes + 127 of the 8-bit first and last layer
``end_scales``          their scales
``clips``               of all layers but the first
the rest                by its name: biases, BatchNorm
======================  ===============================================================================
"""

from typing import Any

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.quant.layers import quant_layers
from DAMBQ.quant import EightBitWeight
from DAMBQ.tables import MAX_BITS, TABLES

_OFFSET = 127
_BITS_OF_BITS = 3


def pack(network: nn.Cell) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Tensors of a file, and the bits of those that are codes.

    Args:
        network: quantized, with latent weights.
    """
    layers, tensors = quant_layers(network), network_state.state(network)
    names = list(layers)
    rest = {name: value for name, value in tensors.items() if not _is_packed(name, names)}
    numbers, bits, scales = [], [], []
    for name in names[1:-1]:
        own, own_bits, own_scale = layers[name].quantize_weight.to_int(layers[name].weight.asnumpy())
        numbers.append(own.reshape(len(own), -1))
        bits.append(own_bits)
        scales.append(own_scale[own_bits > 0])
    found = dict(rest)
    packed = {"weight_bits": _BITS_OF_BITS, "input_bits": _BITS_OF_BITS}
    for count in range(1, MAX_BITS + 1):
        parts = [own[own_bits == count].reshape(-1) for own, own_bits in zip(numbers, bits)]
        codes = np.concatenate(parts)
        if codes.size:
            found[f"codes_{count}"], packed[f"codes_{count}"] = codes, count
    found["weight_bits"] = np.concatenate(bits).astype(np.uint8)
    inputs = [layers[name].quantize_input for name in names[1:]]
    found["input_bits"] = np.concatenate([cell.bits.asnumpy() for cell in inputs[:-1]]).astype(np.uint8)
    found["clips"] = np.concatenate([cell.clip.asnumpy() for cell in inputs])
    if any(len(part) for part in scales):
        found["scales"] = np.concatenate(scales)
    ends = [EightBitWeight.to_int(layers[name].weight.asnumpy()) for name in (names[0], names[-1])]
    found["ends"] = np.concatenate(
        [(codes.astype(np.int16) + _OFFSET).astype(np.uint8).reshape(-1) for codes, _ in ends]
    )
    found["end_scales"] = np.concatenate([scale for _, scale in ends])
    return found, packed


def unpack(network: nn.Cell, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> dict[str, np.ndarray]:
    """All tensors of a frozen network from those of a packed file.

    Raises:
        KeyError, ValueError, IndexError: the file does not fit the network.
    """
    layers = quant_layers(network)
    names, levels = list(layers), TABLES[metadata["settings"]["table"]].as_array()
    streams = {count: _Stream(tensors.pop(f"codes_{count}", None)) for count in range(1, MAX_BITS + 1)}
    weight_bits, input_bits = _Stream(tensors.pop("weight_bits")), _Stream(tensors.pop("input_bits"))
    scales, clips = _Stream(tensors.pop("scales", None)), _Stream(tensors.pop("clips"))
    ends, end_scales = _Stream(tensors.pop("ends")), _Stream(tensors.pop("end_scales"))
    for name in names:
        layer, shape = layers[name], layers[name].weight.shape
        if name in (names[0], names[-1]):
            scale = end_scales.take(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
            codes = ends.take(layer.weight.size).reshape(shape).astype(np.float32) - _OFFSET
            tensors[f"{name}.weight"] = codes * scale
        else:
            bits = weight_bits.take(shape[0])
            rows = [_row(levels, int(count), streams, scales, layer.weight.size // shape[0]) for count in bits]
            tensors[f"{name}.weight"] = np.stack(rows).reshape(shape)
            tensors |= _allocated(f"{name}.quantize_weight", bits)
        if name != names[0]:
            channels = len(layer.quantize_input.bits)
            bits = np.full(channels, 8) if name == names[-1] else input_bits.take(channels)
            if name != names[-1] and bits.max() > MAX_BITS:
                raise ValueError(f"{bits.max()} bits of an activation")
            tensors |= _allocated(f"{name}.quantize_input", bits)
            tensors[f"{name}.quantize_input.clip"] = clips.take(1)
    for stream in (*streams.values(), weight_bits, input_bits, scales, clips, ends, end_scales):
        stream.finish()
    return tensors


def _row(levels: np.ndarray, bits: int, streams: dict[int, "_Stream"], scales: "_Stream", size: int) -> np.ndarray:
    """The weights of one output channel."""
    if not bits:
        return np.zeros(size, np.float32)
    numbers = streams[bits].take(size)
    if numbers.max() >= 2**bits:
        raise ValueError(f"level {numbers.max()} of {bits} bits")
    return levels[bits, numbers] * scales.take(1)


def _allocated(name: str, bits: np.ndarray) -> dict[str, np.ndarray]:
    """The parameters of a quantizer with given bits, those for training at 0."""
    zeros = np.zeros(len(bits), np.float32)
    return {f"{name}.bits": bits.astype(np.int32), f"{name}.probe": zeros, f"{name}.sensitivity": zeros}


class _Stream:
    """Hands out the elements of an array in order."""

    def __init__(self, values: np.ndarray | None):
        self.values, self.place = np.zeros(0) if values is None else values, 0

    def take(self, count: int) -> np.ndarray:
        part = self.values[self.place : self.place + count]
        if len(part) != count:
            raise ValueError("too few values")
        self.place += count
        return part

    def finish(self) -> None:
        if self.place != len(self.values):
            raise ValueError("values left over")


def _is_packed(name: str, layers: list[str]) -> bool:
    """Whether a parameter is stored in one of the tensors above, or not at all."""
    layer, _, part = name.rpartition(".")
    return (layer in layers and part == "weight") or any(
        layer == f"{own}.quantize_{kind}" for own in layers for kind in ("weight", "input")
    )
