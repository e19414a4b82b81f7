"""Files of a method's networks: one layout for all methods, see :mod:`common.stored.packing`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindspore import nn

from common import checkpoint
from common.data.matching import recorded_classes
from common.errors import CheckpointError, ConfigError, QuantizationError
from common.models.registry import MODELS, model, recorded_architecture
from common.quant.integer_weight import IntegerLayer
from common.quant.packed_layers import LayerShape
from common.runtime import context
from common.stored.float_network import from_published, restore
from common.stored.network import KINDS, StoredNetwork
from common.stored.packing import Tensors, pack_network, unpack_network
from common.stored.quantized_layers import integer_layers, layer_shapes, layer_tensors
from common.stored.signature import check_size

# Metadata of the run that a packed file records; the rest tells runs apart and is of no use in it.
_KEPT: tuple[str, ...] = (
    "method",
    "network",
    "num_classes",
    "class_names",
    "dataset",
    "settings",
    "preprocessing",
    "accuracy",
    "samples",
    "training",
)


def _nothing(_parameter: str) -> bool:
    return False


@dataclass(frozen=True)
class Format:
    """Functions that turn the files of a method into networks and back.

    Attributes:
        method: name that quantized files must record.
        quantize: turns a float network in place into one with the recorded ``settings``; with ``frozen`` True into one
            whose weights are on their levels. May return another cell, which is used in its place. Raises KeyError,
            TypeError, ValueError or ConfigError for settings that do not fit.
        layers: integers of a network with latent weights.
        shapes: shapes that the integers of a frozen network must fit.
        fill: parameters of a frozen network's quantized layers from their integers.
        training_only: whether a parameter, by its name, is no part of a frozen network.
        trainable: files of a run that training goes on from, for messages.
        remake: script that makes files of version 0.1 again, for messages.
        architecture: architecture of published state files if none is named.
        published: tensors and metadata, by our names, of a file without metadata and the architecture's name.
    """

    method: str
    quantize: Callable[[nn.Cell, dict[str, Any], bool], object]
    layers: Callable[[nn.Cell], Mapping[str, IntegerLayer]] = integer_layers
    shapes: Callable[[nn.Cell], Mapping[str, LayerShape]] = layer_shapes
    fill: Callable[[nn.Cell, Mapping[str, IntegerLayer]], Tensors] = layer_tensors
    training_only: Callable[[str], bool] = _nothing
    trainable: str = "final.ckpt"
    remake: str = "train.py"
    architecture: str = "resnet20"
    published: Callable[[checkpoint.Checkpoint, str], tuple[Tensors, dict[str, Any]]] = from_published

    def load(
        self,
        path: str | Path,
        architecture: str | None = None,
        num_classes: int | None = None,
        network: nn.Cell | None = None,
    ) -> StoredNetwork:
        """Read a network of any kind.

        Args:
            path: path of the file.
            architecture: architecture of a published state file, None: the method's usual one; other files record it.
            num_classes: number of classes that the file must have; None takes any.
            network: a float network of the same description that takes the file's place of the architecture: one's
                own, which the registry does not know. It is changed.

        Raises:
            CheckpointError: the file is missing, damaged, or not of this method, network or class count.
        """
        file = content = checkpoint.load(path)
        if not content.metadata:
            content = checkpoint.Checkpoint(content.path, *self.published(content, architecture or self.architecture))
        metadata = self._checked(content, num_classes, network is not None)
        if network is None:
            check_size(content, metadata["network"], metadata["num_classes"])
            network = model(metadata["network"]).build(metadata["num_classes"])
        recorded_classes(metadata, path)  # damaged names are refused here
        tensors = content.tensors
        layers: dict[str, IntegerLayer] = {}
        if metadata["kind"] != "float":
            network = self._quantized(network, metadata, path)
        if metadata["kind"] == "packed":
            tensors, layers = self._unpacked(network, content, path)
        restore(network, tensors, file, metadata.get("network", ""))
        return StoredNetwork(network, metadata, layers)

    def save_packed(self, path: str | Path, stored: StoredNetwork, changed: Tensors | None = None) -> None:
        """Write a quantized network with its codes packed, without what only training needs.

        Args:
            path: path of the file.
            stored: latent network, or a packed one with its integers.
            changed: parameters that replace the network's.

        Raises:
            CheckpointError: the file cannot be written.
        """
        packed = pack_network(stored.network, self.integers(stored), self.training_only, changed or {})
        about = {key: stored.metadata[key] for key in _KEPT if key in stored.metadata}
        metadata = {**about, "method": self.method, "kind": "packed", "packing": packed.about}
        checkpoint.save(path, packed.tensors, metadata, packed.widths)

    def integers(self, stored: StoredNetwork) -> Mapping[str, IntegerLayer]:
        """The integers of a network's quantized layers by name; none of a float one."""
        if stored.layers or stored.kind == "float":
            return stored.layers
        with context.execution_mode("pynative"):  # compiling a graph for each layer would take longer
            return self.layers(stored.network)

    def load_latent(self, path: str | Path, architecture: str) -> StoredNetwork:
        """Read a quantized network to train further.

        Raises:
            CheckpointError: the file holds a float network, a packed one (which has no latent weights) or another
                architecture.
        """
        stored = self.load(path, architecture)
        if stored.kind != "latent":
            of_run = f"give {self.trainable} of the run that made it"
            advice = "give it as --pretrained" if stored.kind == "float" else of_run
            raise CheckpointError(
                f"{path}: expected a latent network, a quantized one to train, found a {stored.kind} one; {advice}"
            )
        if stored.metadata["network"] != architecture:
            recorded = stored.metadata["network"]
            raise CheckpointError(f"{path}: expected {architecture}, found {recorded}; change --arch")
        return stored

    def _checked(self, content: checkpoint.Checkpoint, num_classes: int | None, own_network: bool) -> dict[str, Any]:
        """The metadata of a file, after making sure that they fit."""
        path, metadata = content.path, dict(content.metadata)
        if not own_network:
            metadata["network"] = recorded_architecture(metadata)
        if metadata.get("kind") == "quantized" or (metadata.get("kind") == "packed" and "packing" not in metadata):
            raise CheckpointError(
                f"{path}: expected a file of this version, found a quantized one of version 0.1; make it again with "
                f"{self.remake} of {metadata.get('method', 'its method')}, or take the registered one"
            )
        if metadata.get("kind") not in KINDS:
            content_is = "the state of a training run" if "run" in metadata else "something else"
            raise CheckpointError(
                f"{path}: expected a {', '.join(KINDS)} network, found {content_is}; give {self.trainable} of a run"
            )
        if metadata["kind"] != "float":
            checkpoint.require_metadata(content, method=self.method)
        self._check_architecture(path, metadata, own_network)
        classes = metadata.get("num_classes")
        if not isinstance(classes, int) or classes < 1:
            raise CheckpointError(f"{path}: expected num_classes of at least 1 in the metadata, found {classes!r}")
        if num_classes not in (None, classes):
            raise CheckpointError(f"{path}: expected num_classes {num_classes}, found {classes}")
        return metadata

    @staticmethod
    def _check_architecture(path: Path, metadata: Mapping[str, Any], own_network: bool) -> None:
        if not own_network and metadata["network"] not in MODELS:
            raise CheckpointError(
                f"{path}: expected a registered architecture, found {metadata.get('network')!r}; one's own network is "
                "loaded by lowbitzoo.load(file, network=...); commands take the runtime file (.lowbit) that "
                "lowbitzoo.export makes of it"
            )

    def _quantized(self, network: nn.Cell, metadata: dict[str, Any], path: str | Path) -> nn.Cell:
        try:
            return self.quantize(network, metadata["settings"], metadata["kind"] == "packed") or network
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CheckpointError(
                f"{path}: expected settings of a {self.method} network, found none that fit ({error})"
            ) from None

    def _unpacked(
        self, network: nn.Cell, content: checkpoint.Checkpoint, path: str | Path
    ) -> tuple[Tensors, dict[str, IntegerLayer]]:
        try:
            packing, shapes = content.metadata["packing"], self.shapes(network)
            return unpack_network(network, content.tensors, packing, shapes, self.fill)
        except (KeyError, TypeError, ValueError, IndexError, QuantizationError) as error:
            raise CheckpointError(
                f"{path}: expected the packed tensors of this network, found others ({error})"
            ) from None
