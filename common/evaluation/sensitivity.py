r"""What fewer bits of a single layer cost: a score without labels, and the measured loss.

One quantizer at a time is on, the rest of the network is float. Weights are on DoReFa's levels with a fitted scale
(:class:`common.quant.dorefa.DoReFaWeight`), inputs on uniform ones with the clip of the least squared error
(:class:`common.quant.pact.PACTActivation`), 2^k levels each. The score is what quantization changes in the layer's own
output y, on the calibration images:

.. math:: \mathrm{score} = \frac{\sum (y_q - y)^2}{\sum y^2}

The loss is the mean cross-entropy of the images that it is measured on; its rise is that over the float network's.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.errors import ConfigError
from common.evaluation.cost import trace
from common.evaluation.evaluate import score
from common.quant.calibration import best_clip, evaluating, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.dorefa import DoReFaWeight
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.pact import PACTActivation
from common.quant.quantizable import quantizable_layers, traced_inputs
from common.runtime.context import execution_mode
from common.runtime.hooks import input_hooks

WIDTHS = (8, 7, 6, 5, 4, 3, 2)
KINDS = ("weights", "inputs")
_SCORED = 32  # images of the score


@dataclass(frozen=True)
class Entry:
    """One quantizer at one width.

    Attributes:
        layer: name of the layer.
        kind: ``weights`` or ``inputs``.
        bits: width.
        score: change of the layer's output, relative to its size.
        loss: mean cross-entropy with this quantizer alone.
        rise: that less the float network's.
        accuracy: top-1 accuracy of the same images.
    """

    layer: str
    kind: str
    bits: int
    score: float
    loss: float
    rise: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What each layer's bits cost.

    Attributes:
        entries: of all layers, kinds and widths, the most costly first.
        loss: of the float network.
        accuracy: of the float network.
        samples: number of images that the losses are of.
        layers: weights and multiply-accumulates of each layer, in the order of the calls.
    """

    entries: tuple[Entry, ...]
    loss: float
    accuracy: float
    samples: int
    layers: Mapping[str, tuple[int, int]]


class _Switched(nn.Cell):
    """A quantizer that can be off: ``construct(x)`` is x then, exactly."""

    def __init__(self, quantizer: PACTActivation):
        super().__init__()
        self.quantizer = quantizer
        self.on = Parameter(Tensor(np.zeros(1, np.float32)), requires_grad=False)

    def construct(self, x):
        return x + self.on.value() * (self.quantizer(x) - x)

    def set(self, bits: int | None) -> None:
        """Switch to a width, or off."""
        self.on.set_data(Tensor(np.array([bits is not None], np.float32)))
        if bits is not None:
            self.quantizer.bits.set_data(Tensor(np.array([bits], np.int32)))


def measure(
    network: nn.Cell,
    images: np.ndarray,
    labels: np.ndarray,
    widths: tuple[int, ...] = WIDTHS,
    batch_size: int = 64,
    announce: Callable[[str], None] = print,
) -> Sensitivity:
    """Measure every layer; the network is changed and cannot be used afterwards.

    Args:
        network: float.
        images: (N, 3, S, S) as the network sees them, whole batches.
        labels: (N,).
        widths: bits, 2 to 8 each.
        batch_size: images at a time; a divisor of N.
        announce: is told, early, how long it will take.

    Raises:
        ConfigError: a layer that cannot be quantized, or images that are no whole batches.
    """
    if not len(images) or len(images) % batch_size:
        raise ConfigError(f"expected images in whole batches of {batch_size}, found {len(images)}")
    order = list(traced_inputs(network, quantizable_layers(network), images.shape[-1], [images[:2]]))
    floats = {name: quantizable_layers(network)[name] for name in order}
    sizes = {cost.name: (cost.weights, cost.macs) for cost in trace(network, images.shape[1:])}
    calibration = images[:_SCORED]
    values = sample_inputs(network, floats, [calibration])
    seen = _whole_inputs(network, floats, calibration)
    layers = _switchable(network, floats, values)
    loss, accuracy, seconds = _loss(network, images, labels, batch_size, twice=True)
    count = len(order) * len(KINDS) * len(widths)
    announce(f"{count} measurements on {len(images)} images each, about {count * seconds:.0f} s in all")
    entries = []
    for name in order:
        for kind, bits, changed in _each(layers[name], seen[name], widths):
            found, right, _ = _loss(network, images, labels, batch_size)
            entries.append(Entry(name, kind, bits, changed, found, found - loss, right))
    entries.sort(key=lambda entry: -entry.rise)
    return Sensitivity(tuple(entries), loss, accuracy, len(images), {name: sizes[name] for name in order})


def _switchable(
    network: nn.Cell, floats: Mapping[str, nn.Cell], values: Mapping[str, np.ndarray]
) -> dict[str, QuantConv2d | QuantDense]:
    layers = {}
    for name, layer in floats.items():
        signed = bool(values[name].min() < 0)
        quantizer = _Switched(PACTActivation(8, best_clip(values[name], 8, signed), signed, learned=False))
        quantizer.values, quantizer.signed = values[name], signed
        layers[name] = (QuantDense if isinstance(layer, nn.Dense) else QuantConv2d)(layer, None, quantizer)
    replace_cells(network, layers)
    return layers


def _each(
    layer: QuantConv2d | QuantDense, inputs: np.ndarray, widths: tuple[int, ...]
) -> Iterator[tuple[str, int, float]]:
    """Each quantizer of a layer at each width, on while the caller has the item, with its score."""
    weight, switch = layer.weight.asnumpy().copy(), layer.quantize_input
    with execution_mode("pynative"):
        plain = layer.product(Tensor(inputs), Tensor(weight)).asnumpy().astype(np.float64)
    energy = max(float((plain**2).sum()), 1e-30)

    def change(x: np.ndarray, w: np.ndarray) -> float:
        with execution_mode("pynative"):
            y = layer.product(Tensor(x), Tensor(w)).asnumpy().astype(np.float64)
        return float(((y - plain) ** 2).sum()) / energy

    for bits in widths:
        quantized = _quantized_weight(weight, bits)
        layer.weight.set_data(Tensor(quantized))
        yield "weights", bits, change(inputs, quantized)
    layer.weight.set_data(Tensor(weight))
    for bits in widths:
        clip = best_clip(switch.values, bits, switch.signed)
        switch.quantizer.clip.set_data(Tensor(np.array([clip], np.float32)))
        switch.set(bits)
        with execution_mode("pynative"):
            quantized = switch.quantizer(Tensor(inputs)).asnumpy()
        yield "inputs", bits, change(quantized, weight)
    switch.set(None)


def _quantized_weight(weight: np.ndarray, bits: int) -> np.ndarray:
    quantizer = DoReFaWeight(bits)
    quantizer.fit(weight, bits)
    with execution_mode("pynative"):
        return quantizer(Tensor(weight)).asnumpy()


def _whole_inputs(network: nn.Cell, layers: Mapping[str, nn.Cell], images: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of layers for images, of the first call."""
    seen: dict[str, np.ndarray] = {}
    with evaluating(network), input_hooks(layers, lambda name, x: seen.setdefault(name, x.copy())):
        network(Tensor(images))
    return seen


def _loss(
    network: nn.Cell, images: np.ndarray, labels: np.ndarray, batch_size: int, twice: bool = False
) -> tuple[float, float, float]:
    """Mean loss, accuracy and seconds; ``twice`` compiles before the time is taken."""
    network.set_train(False)
    parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
    with execution_mode("graph"):
        if twice:
            network(Tensor(images[:batch_size]))
        start = time.perf_counter()
        counts = [score(network(Tensor(images[part])).asnumpy(), labels[part]) for part in parts]
    loss, right = sum(count[2] for count in counts), sum(count[0] for count in counts)
    return loss / len(images), right / len(images), time.perf_counter() - start
