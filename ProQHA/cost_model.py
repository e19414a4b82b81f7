"""Cost of any bits of a network: weight storage, average bits, bit operations per layer and in total."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import nn

from common import report
from common.evaluation import cost
from common.quant.bits_file import read_bits
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.quant.layers import quant_layers
from ProQHA.convert import quantized_names
from ProQHA.quant import ACTIVATIONS, WEIGHTS

FLOAT_BITS = 32


@dataclass(frozen=True, eq=False)
class CostModel:
    """Sizes of the L quantized layers, from which the cost of any bits (..., L, 2) follows.

    Attributes:
        names: names of the layers, in the order of the network.
        weights: number of weights of each layer, (L,).
        activations: number of input values of each layer for one image, (L,).
        macs: number of multiply-accumulates of each layer for one image, (L,).
    """

    names: tuple[str, ...]
    weights: np.ndarray
    activations: np.ndarray
    macs: np.ndarray

    def storage(self, bits: np.ndarray) -> np.ndarray:
        r"""Weight storage relative to that of float weights, :math:`\sum_l b_l n_l / (32 \sum_l n_l)`; shape (...)."""
        return (bits[..., WEIGHTS] * self.weights).sum(-1) / (FLOAT_BITS * self.weights.sum())

    def compute(self, bits: np.ndarray) -> np.ndarray:
        """Bit operations relative to those of float layers (32 x 32 bits); shape (...)."""
        return self.bit_operations(bits).sum(-1) / (FLOAT_BITS**2 * self.macs.sum())

    def bit_operations(self, bits: np.ndarray) -> np.ndarray:
        """Weight bits * activation bits * multiply-accumulates of each layer for one image, (..., L)."""
        return bits.prod(-1) * self.macs

    def averages(self, bits: np.ndarray) -> tuple[float, float]:
        """Mean bits over all weights, and over all activations; ``bits`` (L, 2)."""
        sizes = self.weights, self.activations
        return tuple(float((bits[:, column] * size).sum() / size.sum()) for column, size in enumerate(sizes))

    def summary(self, bits: np.ndarray) -> dict[str, float]:
        """All costs of one choice of bits (L, 2), as a report prints them."""
        weight_bits, activation_bits = self.averages(bits)
        return {
            "cost": float(self.storage(bits)),
            "compute_cost": float(self.compute(bits)),
            "average_weight_bits": weight_bits,
            "average_activation_bits": activation_bits,
            "bit_operations": float(self.bit_operations(bits).sum()),
        }


def cost_model(network: nn.Cell, image_size: int) -> CostModel:
    """Sizes of the layers that are quantized, or that would be if the network is float.

    Args:
        network: float or quantized network.
        image_size: side of the images in pixels.
    """
    names = list(quant_layers(network))
    traced = cost.trace(network, (3, image_size, image_size), products=names)
    layers = {layer.name: layer for layer in traced}
    names = names or quantized_names(network)
    columns = ("weights", "activations", "macs")
    sizes = [np.array([getattr(layers[name], column) for name in names], float) for column in columns]
    return CostModel(tuple(names), *sizes)


@dataclass(frozen=True)
class MixedBits:
    """Two numbers of bits, dealt out to the quantizers in the order W, A, W, A, ... of the layers.

    Attributes:
        bits: width of the first quantizers.
        other: width of the rest.
        ratio: share of the quantizers that are the first ones.
        file: file of the bits of each layer, see :mod:`common.quant.bits_file`, in the place of these.
    """

    bits: int
    other: int
    ratio: float = 1.0
    file: Path | None = None

    def of_network(self, names: Sequence[str]) -> np.ndarray:
        """Bits (L, 2) of the named layers.

        Raises:
            ConfigError: a file that does not fit them.
        """
        if self.file is None:
            return self.of_layers(len(names))
        bits = read_bits(self.file, list(names), MIN_BITS, MAX_BITS)
        return np.array([bits[name] for name in names])

    def of_layers(self, layers: int) -> np.ndarray:
        """Bits (L, 2) of L layers."""
        flat = np.full(2 * layers, self.other)
        flat[: round(self.ratio * 2 * layers)] = self.bits
        return flat.reshape(layers, 2)


def table(sizes: CostModel, bits: np.ndarray) -> str:
    """A line per layer and the totals, for bits (L, 2)."""
    columns = {
        "layer": sizes.names,
        "W bits": bits[:, WEIGHTS],
        "A bits": bits[:, ACTIVATIONS],
        "weights": sizes.weights,
        "activations": sizes.activations,
        "MACs": sizes.macs,
        "weight bytes": bits[:, WEIGHTS] * sizes.weights / 8,
        "bit operations": sizes.bit_operations(bits),
    }
    rows = [dict(zip(columns, line)) for line in zip(*columns.values())]
    means = [f"{mean:.3f}" for mean in sizes.averages(bits)]
    totals = [float(np.sum(values)) for values in list(columns.values())[3:]]
    rows = [{key: value if key == "layer" else f"{value:,.0f}" for key, value in row.items()} for row in rows]
    rows.append(dict(zip(columns, ["all", *means, *(f"{total:,.0f}" for total in totals)])))
    return report.text_table(rows, list(columns))
