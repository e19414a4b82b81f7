"""Turning a float network into one whose layers have DoReFa weights and PACT inputs, with bits to read and change.

Quantized are all convolutions and linear layers but the first, the last and the shortcuts, which stay float, as in the
method's earlier code. Weights and inputs of a layer are a pair of quantizers, so that their bits cannot be mixed up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.models.layers import weighted_layers
from common.quant.calibration import best_clip
from common.quant.conversion import replace_cells, signed_inputs
from common.quant.dorefa import MAX_BITS, MIN_BITS, DoReFaWeight
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.quant.pact import PACTActivation
from common.runtime.hooks import input_hooks

WEIGHTS, ACTIVATIONS = 0, 1  # columns of an array of bits
_SHORTCUT = "downsample"
_CALIBRATION_VALUES = 1 << 18


@dataclass(frozen=True)
class Settings:
    """How a network is quantized; bits and clips are parameters of the network.

    Attributes:
        bits: of all weights and activations to begin with, 2 to 8.
        clip: first value of PACT's clips; the paper's is 10.
        signed: names of the layers whose inputs may be negative; None finds them.
    """

    bits: int = MAX_BITS
    clip: float = 10.0
    signed: tuple[str, ...] | None = None


def quantized_names(network: nn.Cell) -> list[str]:
    """The layers of a float network that are quantized, in the order of its description."""
    names = list(weighted_layers(network))
    return [name for name in names[1:-1] if _SHORTCUT not in name.split(".")]


def quantize_network(
    network: nn.Cell, settings: Settings | None = None, image_size: int = 32, frozen: bool = False
) -> Settings:
    """Replace the layers of a float network, in place, keeping weights and biases.

        quantize_network(network := MyNetwork())

    Args:
        network: built of ``nn.Conv2d`` and ``nn.Dense``, in the order in which they are described.
        settings: the default ones if None.
        image_size: of the images that show which inputs are signed.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.

    Returns:
        The settings with the signed layers named.

    Raises:
        ConfigError: nothing to quantize, bits outside 2 to 8, a signed layer that is none, or a layer of an
            unsupported kind.
    """
    settings = settings or Settings()
    names, layers = quantized_names(network), weighted_layers(network)
    if not names:
        raise ConfigError(f"expected a layer between the first and the last to quantize, found {len(layers)} in all")
    signed = settings.signed
    if signed is None:
        signed = tuple(signed_inputs(network, names, image_size))
    if unknown := sorted(set(signed) - set(names)):
        raise ConfigError(f"signed: expected names of quantized layers, found {unknown[0]}")
    made = {}
    for name in names:
        weight = FrozenWeight() if frozen else DoReFaWeight(settings.bits)
        if not frozen:
            weight.fit(layers[name].weight.asnumpy())
        kind = QuantDense if isinstance(layers[name], nn.Dense) else QuantConv2d
        made[name] = kind(layers[name], weight, PACTActivation(settings.bits, settings.clip, name in signed))
    replace_cells(network, made)
    return Settings(settings.bits, settings.clip, signed)


def get_bits(network: nn.Cell) -> np.ndarray:
    """Bits (L, 2) int of weights and inputs of the L quantized layers."""
    pairs = [(layer.quantize_weight.bits, layer.quantize_input.bits) for layer in quant_layers(network).values()]
    return np.array([[int(bits.asnumpy()[0]) for bits in pair] for pair in pairs]).reshape(-1, 2)


def set_bits(network: nn.Cell, bits: Sequence[Sequence[int]] | np.ndarray) -> None:
    """Give all quantizers their bits; a compiled network needs no compilation.

    Args:
        network: quantized.
        bits: (L, 2) as from :func:`get_bits`.

    Raises:
        ConfigError: another number of layers, or bits outside 2 to 8.
    """
    layers, bits = list(quant_layers(network).values()), np.asarray(bits)
    if bits.shape != (len(layers), 2):
        raise ConfigError(f"bits: expected a pair for each of {len(layers)} layers, found the shape {bits.shape}")
    if bits.min() < MIN_BITS or bits.max() > MAX_BITS:
        raise ConfigError(f"bits: expected {MIN_BITS} to {MAX_BITS}, found {bits.min()} to {bits.max()}")
    for layer, pair in zip(layers, bits):
        for quantizer, own in zip((layer.quantize_weight, layer.quantize_input), pair):
            quantizer.bits.set_data(Tensor(np.array([own], np.int32)))


def calibrate(network: nn.Cell, images: Iterable[np.ndarray]) -> None:
    """Set every clip to the one with the least squared error at the present bits.

    Args:
        network: quantized.
        images: batches (N, 3, H, W) as in training; labels are not needed.
    """
    layers = quant_layers(network)
    for name, values in sample_inputs(network, layers, images).items():
        set_clip(layers[name].quantize_input, values)


def set_clip(quantizer: PACTActivation, values: np.ndarray) -> None:
    """Set a clip to the one with the least squared error on ``values`` at the quantizer's bits."""
    assign_clip(quantizer, best_clip(values, int(quantizer.bits.asnumpy()[0]), quantizer.signed))


def assign_clip(quantizer: PACTActivation, clip: float) -> None:
    """Give a quantizer a clip, also between steps of training."""
    # After set_data in PYNATIVE mode, an optimizer that has run before would train the old values for ever.
    ops.assign(quantizer.clip, Tensor(np.array([clip], np.float32)))


def sample_inputs(network: nn.Cell, layers: dict[str, nn.Cell], images: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs of layers over batches of images, flat and thinned."""
    seen: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    training = network.training
    network.set_train(False)
    with input_hooks(layers, lambda name, x: seen[name].append(thinned(x))):
        for batch in images:
            network(Tensor(batch))
    network.set_train(training)
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def thinned(values: np.ndarray) -> np.ndarray:
    """At most 262,144 of some values, flat: every so manyth, which tells their distribution as well."""
    step = -(-values.size // _CALIBRATION_VALUES) | 1  # odd, so that it does not meet the same column in every row
    return values.ravel()[::step].copy()


def each(network: nn.Cell, column: int) -> list[nn.Cell]:
    """The quantizers of weights (column 0) or inputs (column 1)."""
    layers = quant_layers(network).values()
    return [layer.quantize_weight if column == WEIGHTS else layer.quantize_input for layer in layers]
