"""The tensors of a packed file: codes of all layers of k bits together, so that each weight takes k bits.

======================  ============================================================
tensor                  holds
======================  ============================================================
``codes_2`` ... ``_8``  codes of the layers of that many bits, layer by layer, packed
``bits``                of weights and of inputs of each layer, packed in 4 bits
``gains``, ``clips``    of the layers
the rest                by its name: float layers, biases, BatchNorm
======================  ============================================================
"""

from typing import Any

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.quant.dorefa import MAX_BITS, MIN_BITS, from_int
from common.quant.layers import quant_layers

_BITS_OF_BITS = 4
_SEPARATE = ("weight", "quantize_weight.bits", "quantize_weight.gain", "quantize_input.bits", "quantize_input.clip")


def pack(network: nn.Cell) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Tensors of a file, and the bits of those that are codes.

    Args:
        network: quantized, with latent weights.
    """
    layers = quant_layers(network)
    separate = {f"{name}.{part}" for name in layers for part in _SEPARATE}
    found = {name: value for name, value in network_state.state(network).items() if name not in separate}
    packed, bits, gains, codes = {"bits": _BITS_OF_BITS}, [], [], {}
    for layer in layers.values():
        own, weight_bits, gain = layer.quantize_weight.to_int(layer.weight.asnumpy())
        codes.setdefault(weight_bits, []).append(own.ravel())
        bits.append((weight_bits, int(layer.quantize_input.bits.asnumpy()[0])))
        gains.append(gain)
    for count, parts in codes.items():
        found[f"codes_{count}"], packed[f"codes_{count}"] = np.concatenate(parts), count
    found["bits"], found["gains"] = np.array(bits, np.uint8), np.array(gains, np.float32)
    found["clips"] = np.concatenate([layer.quantize_input.clip.asnumpy() for layer in layers.values()])
    return found, packed


def unpack(network: nn.Cell, tensors: dict[str, np.ndarray], _metadata: dict[str, Any]) -> dict[str, np.ndarray]:
    """All tensors of a frozen network from those of a packed file.

    Raises:
        KeyError, ValueError: the file does not fit the network.
    """
    layers = quant_layers(network)
    bits, gains, clips = (tensors.pop(name) for name in ("bits", "gains", "clips"))
    codes = {count: tensors.pop(f"codes_{count}") for count in np.unique(bits[:, 0]).tolist()}
    if bits.shape != (len(layers), 2) or bits.min() < MIN_BITS or bits.max() > MAX_BITS:
        raise ValueError(f"bits of the shape {bits.shape}")
    if gains.shape != clips.shape or len(clips) != len(layers):
        raise ValueError(f"{len(gains)} gains and {len(clips)} clips")
    if any(own.dtype != np.uint8 or own.max() >= 2**count for count, own in codes.items()):
        raise ValueError("codes that are no levels")
    for (name, layer), own, gain, clip in zip(layers.items(), bits, gains, clips):
        count, shape = int(own[0]), layer.weight.shape
        mine, codes[count] = np.split(codes[count], [layer.weight.size])
        tensors[f"{name}.weight"] = from_int(mine.reshape(shape), count, gain)
        tensors[f"{name}.quantize_weight.bits"] = own[:1].astype(np.int32)
        tensors[f"{name}.quantize_input.bits"] = own[1:].astype(np.int32)
        tensors[f"{name}.quantize_input.clip"] = clip.reshape(1)
    if any(rest.size for rest in codes.values()):
        raise ValueError("codes left over")
    return tensors
