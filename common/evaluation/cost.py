"""Cost of a network: stored bytes, average bits, operations and bit operations, with their formulas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common.quant.packing import packed_size
from common.runtime.context import execution_mode

BIT_OPERATIONS = (
    "MAC: w_bits * a_bits; adder tap (subtract, accumulate): 2 * max(w_bits, a_bits); float layers: 32 bits"
)


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer on one image.

    Attributes:
        name: name of the cell.
        kind: kind of its operations, ``mac`` (convolution, linear) or ``adder``.
        weights: number of weights, without bias.
        macs: number of weight-activation pairs that are combined, F C KH KW OH OW / groups.
        weight_bits: bits of a weight, 32 for float.
        activation_bits: bits of the layer's input, 32 for float.
        activations: number of values of the layer's input.
    """

    name: str
    kind: str
    weights: int
    macs: int
    weight_bits: float = 32
    activation_bits: float = 32
    activations: int = 0

    @property
    def bit_operations(self) -> float:
        """Bit operations of the layer, by the formula ``BIT_OPERATIONS``."""
        if self.kind == "adder":
            return 2 * max(self.weight_bits, self.activation_bits) * self.macs
        return self.weight_bits * self.activation_bits * self.macs


def trace(
    network: nn.Cell,
    image_shape: tuple[int, int, int],
    adders: Iterable[str] = (),
    bits: Mapping[str, tuple[float, float]] | None = None,
    products: Iterable[str] = (),
) -> list[LayerCost]:
    """The layers of a network in the order they run, found by running one blank image.

    Args:
        network: network of ``nn.Conv2d``, ``nn.Dense`` and the named layers; each has a ``weight`` of shape (F, ...).
        image_shape: shape of an image, (3, H, W).
        adders: names of adder layers.
        bits: weight bits and activation bits by layer name; float where a layer is not named.
        products: names of a method's own convolutions and linear layers.

    Raises:
        KeyError: a name that is no layer of the network.
    """
    adders, products, bits, costs = set(adders), set(products), bits or {}, []
    if unknown := (adders | products | set(bits)) - {name for name, _ in network.cells_and_names()}:
        raise KeyError(f"no such layers: {', '.join(sorted(unknown))}")

    def hook(name: str, kind: str):
        def after_call(cell, inputs, output):
            weight, activations = cell.weight, int(np.prod(inputs[0].shape[1:]))
            macs = weight.size * int(np.prod(output.shape[2:]))
            costs.append(LayerCost(name, kind, weight.size, macs, *bits.get(name, (32, 32)), activations))

        return after_call

    with execution_mode("pynative"):
        handles = [
            cell.register_forward_hook(hook(name, "adder" if name in adders else "mac"))
            for name, cell in network.cells_and_names()
            if name in adders | products or isinstance(cell, nn.Conv2d | nn.Dense)
        ]
        try:
            network.set_train(False)
            network(Tensor(np.zeros((1, *image_shape), np.float32)))
        finally:
            for handle in handles:
                handle.remove()
    return costs


def stored_bytes(tensors: Mapping[str, np.ndarray], packed: Mapping[str, int]) -> int:
    """Bytes of all tensors as a checkpoint stores them, codes packed; names and metadata not counted."""
    return sum(
        packed_size(value.size, packed[name]) if name in packed else value.nbytes for name, value in tensors.items()
    )


def summary(layers: Iterable[LayerCost], model_bytes: int) -> dict[str, Any]:
    """The cost of a network as the reports print it.

    Returns:
        ``average_weight_bits`` and ``average_activation_bits`` over all layers (by weights, by macs),
        ``quantized_weight_bits`` over the layers below 32 bits, ``model_bytes``, ``float_bytes`` (the weights alone
        at 32 bits), ``macs``, ``additions`` (two per pair of an adder layer), ``bit_operations`` and its formula, and
        ``bits_of_layers``, of weights and activations by name.
    """
    layers = list(layers)
    weights, macs = sum(layer.weights for layer in layers), sum(layer.macs for layer in layers)
    quantized = [layer for layer in layers if layer.weight_bits < 32]
    mean = sum(layer.weight_bits * layer.weights for layer in quantized) / max(1, sum(q.weights for q in quantized))
    return {
        "average_weight_bits": sum(layer.weight_bits * layer.weights for layer in layers) / weights,
        "average_activation_bits": sum(layer.activation_bits * layer.macs for layer in layers) / macs,
        "quantized_weight_bits": mean if quantized else 32,
        "model_bytes": model_bytes,
        "float_bytes": 4 * weights,
        "macs": sum(layer.macs for layer in layers if layer.kind == "mac"),
        "additions": sum(2 * layer.macs for layer in layers if layer.kind == "adder"),
        "bit_operations": sum(layer.bit_operations for layer in layers),
        "bit_operations_formula": BIT_OPERATIONS,
        "bits_of_layers": {layer.name: [layer.weight_bits, layer.activation_bits] for layer in layers},
    }
