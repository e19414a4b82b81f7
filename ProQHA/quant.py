"""The quantizers of a network, DoReFa's weights and PACT's inputs, and their bits to read and change.

The equations are in :mod:`common.quant.dorefa` and :mod:`common.quant.pact`. Weights and inputs of a layer are a pair
of quantizers, so that their bits cannot be mixed up: all bits of L layers are an array (L, 2).
"""

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.quant.layers import quant_layers
from common.quant.pact import PACTActivation

WEIGHTS, ACTIVATIONS = 0, 1  # columns of an array of bits


def quantizers(network: nn.Cell, column: int) -> list[nn.Cell]:
    """The quantizers of weights (column 0) or of inputs (column 1), layer by layer."""
    layers = quant_layers(network).values()
    return [layer.quantize_weight if column == WEIGHTS else layer.quantize_input for layer in layers]


def get_bits(network: nn.Cell) -> np.ndarray:
    """Bits (L, 2) int of weights and inputs of the L quantized layers."""
    columns = [quantizers(network, column) for column in (WEIGHTS, ACTIVATIONS)]
    return np.array([[int(cell.bits.asnumpy()[0]) for cell in pair] for pair in zip(*columns)]).reshape(-1, 2)


def set_bits(network: nn.Cell, bits: Sequence[Sequence[int]] | np.ndarray) -> None:
    """Give all quantizers their bits; a compiled network needs no compilation.

    Args:
        network: quantized.
        bits: (L, 2) as from :func:`get_bits`.

    Raises:
        ConfigError: another number of layers, or bits outside 2 to 8.
    """
    layers, bits = len(quant_layers(network)), np.asarray(bits)
    if bits.shape != (layers, 2):
        raise ConfigError(f"bits: expected a pair for each of {layers} layers, found the shape {bits.shape}")
    if bits.min() < MIN_BITS or bits.max() > MAX_BITS:
        raise ConfigError(f"bits: expected {MIN_BITS} to {MAX_BITS}, found {bits.min()} to {bits.max()}")
    for column in (WEIGHTS, ACTIVATIONS):
        for quantizer, width in zip(quantizers(network, column), bits[:, column]):
            quantizer.bits.set_data(Tensor(np.array([width], np.int32)))


def assign_clip(quantizer: PACTActivation, clip: float) -> None:
    """Give a quantizer a clip, also between steps of training."""
    # After set_data in PYNATIVE mode, an optimizer that has run before would train the old values for ever.
    ops.assign(quantizer.clip, Tensor(np.array([clip], np.float32)))
