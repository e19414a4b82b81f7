"""Choices of the images of a set: bits and bit operations per image, layer and class, and how much they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import distributed
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.quant_config import QuantConfig

FORMULA = "w_bits * a_bits * MACs, summed over the quantized layers of an image"


@dataclass(frozen=True, eq=False)
class Choices:
    """The candidates that N images took in L dynamic layers.

    Attributes:
        index: number of the candidate that each image took in each layer, (N, L).
        labels: classes of the images, (N,).
        config: quantization settings of the network.
        layers: names of the L layers.
        macs: multiply-accumulates of an image in each quantized layer, static ones too, by name.
    """

    index: np.ndarray
    labels: np.ndarray
    config: QuantConfig
    layers: Sequence[str]
    macs: dict[str, int]

    @property
    def bits(self) -> np.ndarray:
        """Bits of each image in each dynamic layer, (N, L)."""
        return np.array(self.config.candidates)[self.index]

    @property
    def static_operations(self) -> int:
        """Bit operations of an image in the static network of t bits."""
        return sum(self.macs.values()) * self.config.bits**2

    @property
    def operations(self) -> np.ndarray:
        """Bit operations of each image in all quantized layers, (N,); those that do not choose have t bits."""
        macs = np.array([self.macs[name] for name in self.layers])
        others = sum(self.macs.values()) - macs.sum()
        return others * self.config.bits**2 + (self.bits.astype(np.int64) ** 2 * macs).sum(1)

    @property
    def shares(self) -> np.ndarray:
        """Share of the images that took each candidate, (L, K)."""
        return np.stack([(self.index == k).mean(0) for k in range(len(self.config.candidates))], 1)

    @property
    def entropy(self) -> np.ndarray:
        """Entropy of each layer's choices over the images, in bits, (L,): 0 where all choose alike, at most log2 3."""
        shares = self.shares
        return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(1)

    def summary(self) -> dict[str, Any]:
        """The figures of a report."""
        bits, operations = self.bits, self.operations
        ratio = operations / self.static_operations
        return {
            "bits": {"mean": bits.mean(), "deviation": bits.mean(1).std()},
            "bit_operations": {"mean": operations.mean(), "deviation": operations.std()}
            | {"least": operations.min(), "most": operations.max(), "formula": FORMULA},
            "static_bit_operations": self.static_operations,
            "share_of_static": ratio.mean(),
            "entropy": self.entropy.mean(),
            "different_choices": len(np.unique(self.index, axis=0)),
            "layers": self.of_layers(),
            "classes": self.of_classes(),
        }

    def of_layers(self) -> list[dict[str, Any]]:
        """A row per dynamic layer: mean bits, share of each candidate, entropy, multiply-accumulates."""
        rows = []
        for name, bits, shares, entropy in zip(self.layers, self.bits.mean(0), self.shares, self.entropy):
            parts = {f"{width} bits": share for width, share in zip(self.config.candidates, shares)}
            rows.append({"layer": name, "bits": bits, **parts, "entropy": entropy, "macs": self.macs[name]})
        return rows

    def of_classes(self) -> list[dict[str, Any]]:
        """A row per class that has images: number, mean bits, bit operations relative to the static network's."""
        rows, ratio = [], self.operations / self.static_operations
        for label in np.unique(self.labels):
            of_class = self.labels == label
            row = {"class": label, "images": of_class.sum(), "bits": self.bits[of_class].mean()}
            rows.append({**row, "of static": ratio[of_class].mean()})
        return rows


class ChoiceRecorder:
    """Keeps the choices of images: an ``on_batch`` of :func:`common.evaluation.evaluate` for a network of any kind.

    A dynamic network is evaluated as :class:`~DynamicQuant.network.Decisions`, whose masks are kept.
    """

    def __init__(self):
        self._index: list[np.ndarray] = []
        self._uniform: list[np.ndarray] = []

    def __call__(self, batch: Mapping[str, np.ndarray], outputs: tuple[np.ndarray, ...]) -> None:
        """Take the logits (B, classes) of a batch, and the masks (B, L, K) of a dynamic network."""
        for mask in outputs[1:]:
            self._index.append(mask.argmax(2).astype(np.uint8))
        values = outputs[0].astype(np.float64)
        top = values.max(1)
        self._uniform.append(np.log(np.exp(values - top[:, None]).sum(1)) + top - values.mean(1))

    def choices(self, labels: np.ndarray, config: QuantConfig, network: DynamicNetwork) -> Choices:
        """The choices of all images; ``labels`` (N,) are the images' classes."""
        return Choices(self.index(len(labels)), labels, config, network.dynamic, network.macs)

    def index(self, samples: int) -> np.ndarray:
        """Candidates of the first ``samples`` images, (N, L); what filled the last batch is left out."""
        return _all(self._index)[:samples].astype(np.uint8)

    def uniform_loss(self, samples: int) -> float:
        """Summed cross-entropy of the first ``samples`` images against a target spread over all classes."""
        return float(_all(self._uniform)[:samples].sum())


def _all(batches: Sequence[np.ndarray]) -> np.ndarray:
    """The rows of all processes, in the order of the images, float64; what filled the batches is at the end."""
    return np.concatenate(distributed.gathered(np.concatenate(batches)))
