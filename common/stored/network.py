"""Networks of a method in files: float ones, quantized ones to train further, packed ones to use.

=========  ===========================================  ==========================================
kind       holds                                        made by
=========  ===========================================  ==========================================
float      a float network of any method, or published  training without quantization
quantized  latent weights and quantizers' parameters    ``best.ckpt`` of training with it
packed     codes at their real width, nothing latent    the end of training with it
=========  ===========================================  ==========================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError, ConfigError
from common.models.registry import MODELS, model, recorded_architecture
from common.runtime import context
from common.stored.float_network import from_published

KINDS = ("float", "quantized", "packed")
Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network from a file.

    Attributes:
        network: ready to evaluate; a ``quantized`` one also to be trained.
        metadata: ``kind``, ``network``, ``num_classes``, ``settings`` of a quantized one, and what else was recorded.
    """

    network: nn.Cell
    metadata: dict[str, Any]

    @property
    def kind(self) -> str:
        """``float``, ``quantized`` or ``packed``."""
        return self.metadata["kind"]


@dataclass(frozen=True)
class Format:
    """How a method's networks are in files.

    Attributes:
        method: name that quantized files must record.
        quantize: turns a float network in place into what the recorded ``settings`` say; with ``frozen`` True into one
            whose weights are on their levels. May return another cell, which is used in its place. Raises KeyError,
            TypeError, ValueError or ConfigError for settings that do not fit.
        pack: tensors of a packed file, and the bits of those that are codes, of a network with latent weights.
        unpack: all tensors of a frozen network, from it, those of a packed file, and the metadata. Raises KeyError,
            TypeError, ValueError or IndexError where they do not fit.
        trainable: the files of a run that training goes on from, for messages.
        published: tensors and metadata, by our names, of a file without metadata and the model's name.
    """

    method: str
    quantize: Callable[[nn.Cell, dict[str, Any], bool], object]
    pack: Callable[[nn.Cell], tuple[Tensors, dict[str, int]]]
    unpack: Callable[[nn.Cell, Tensors, dict[str, Any]], Tensors]
    trainable: str = "best.ckpt"
    published: Callable[[checkpoint.Checkpoint, str], tuple[Tensors, dict[str, Any]]] = from_published

    def load(self, path: str | Path, model_name: str = "resnet20", num_classes: int | None = None) -> StoredNetwork:
        """Read a network of any kind.

        Args:
            path: of the file.
            model_name: of a published state file; otherwise the file records it.
            num_classes: what the file must have; None takes any.

        Raises:
            CheckpointError: the file is missing, damaged, or not of this method or class count.
        """
        found = checkpoint.load(path)
        if not found.metadata:
            found = checkpoint.Checkpoint(found.path, *self.published(found, model_name))
        tensors, metadata = found.tensors, dict(found.metadata)
        metadata["network"] = recorded_architecture(metadata)
        classes = self._check(found, metadata, num_classes)
        network = model(metadata["network"]).build(classes)
        if metadata["kind"] != "float":
            frozen = metadata["kind"] == "packed"
            network = self._quantize(network, metadata, frozen, path)
            tensors = self._unpack(network, tensors, metadata, path) if frozen else tensors
        network_state.restore(network, tensors, str(path))
        return StoredNetwork(network, metadata)

    def save_packed(self, path: str | Path, stored: StoredNetwork, changed: Tensors | None = None) -> None:
        """Write a quantized network with its codes packed, without what only training needs.

        Args:
            path: of the file.
            stored: with latent weights.
            changed: tensors that stand in the place of the network's.

        Raises:
            CheckpointError: the file cannot be written.
        """
        with context.execution_mode("pynative"):  # compiling a graph for each layer would take longer
            tensors, packed = self.pack(stored.network)
        checkpoint.save(path, {**tensors, **(changed or {})}, {**stored.metadata, "kind": "packed"}, packed)

    def load_quantized(self, path: str | Path, model_name: str) -> StoredNetwork:
        """Read a quantized network to train further.

        Raises:
            CheckpointError: the file holds a float network, a packed one (which has no latent weights) or another
                model.
        """
        stored = self.load(path, model_name)
        if stored.kind != "quantized":
            of_run = f"give {self.trainable} of the run that made it"
            advice = "give it as --pretrained" if stored.kind == "float" else of_run
            raise CheckpointError(
                f"{path}: resume expects a quantized network to train, found a {stored.kind} one; {advice}"
            )
        if stored.metadata["network"] != model_name:
            found = stored.metadata["network"]
            raise CheckpointError(f"{path}: expected {model_name}, found {found}; change --arch")
        return stored

    def _check(self, found: checkpoint.Checkpoint, metadata: dict[str, Any], num_classes: int | None) -> int:
        """The number of classes of a file whose metadata fit."""
        path = found.path
        if metadata.get("kind") not in KINDS or metadata["network"] not in MODELS:
            own = "the state of a training run" if "run" in metadata else "something else"
            raise CheckpointError(
                f"{path}: expected a {', '.join(KINDS)} network, found {own}; give {self.trainable} of a run"
            )
        classes = metadata.get("num_classes")
        if not isinstance(classes, int) or classes < 1:
            raise CheckpointError(f"{path}: expected num_classes of at least 1 in the metadata, found {classes!r}")
        if metadata["kind"] != "float":
            checkpoint.require_metadata(found, method=self.method)
        if num_classes not in (None, classes):
            raise CheckpointError(f"{path}: expected num_classes {num_classes}, found {classes}")
        return classes

    def _quantize(self, network: nn.Cell, metadata: dict[str, Any], frozen: bool, path: str | Path) -> nn.Cell:
        try:
            return self.quantize(network, metadata["settings"], frozen) or network
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CheckpointError(
                f"{path}: expected settings of a {self.method} network, found none that fit ({error})"
            ) from None

    def _unpack(self, network: nn.Cell, tensors: Tensors, metadata: dict[str, Any], path: str | Path) -> Tensors:
        try:
            return self.unpack(network, dict(tensors), metadata)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"{path}: expected the packed tensors of this network, found others ({error})"
            ) from None
