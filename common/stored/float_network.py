"""Float networks from files: of this project, whichever method trained them, or published PyTorch state files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.data.matching import Classes, recorded_classes
from common.errors import CheckpointError
from common.models.registry import model, recorded_architecture
from common.stored.network import StoredNetwork
from common.stored.signature import check_size, class_count, fits, fitting, signature
from common.zoo import known


def from_published(content: checkpoint.Checkpoint, architecture: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors by our names, and metadata, of a file without metadata: a published state file of an architecture.

    Where the file is a registered one, the registry's data set and preprocessing are among the metadata.
    """
    tensors = model(architecture).from_published(content.tensors)
    metadata = {"kind": "float", "network": architecture, "num_classes": class_count(tensors)}
    return tensors, known.recorded(content.path) | metadata


def restore(
    network: nn.Cell, tensors: dict[str, np.ndarray], content: checkpoint.Checkpoint, architecture: str
) -> None:
    """Assign the parameters of a file to a network.

    Raises:
        CheckpointError: they do not fit; of a published file the line says which architecture they are of.
    """
    try:
        network_state.restore(network, tensors, content.path)
    except CheckpointError as error:
        names = [] if content.metadata else [name for name in fitting(content.tensors) if name != architecture]
        if not names:
            raise
        raise CheckpointError(
            f"{content.path}: expected the weights of {architecture}, found those of {' or '.join(names)}; choose that "
            "network, with --arch"
        ) from error


def classes_in_file(path: Path | None, architecture: str) -> Classes | None:
    """The classes that the network in a file tells apart; None without a file, or where it does not say.

    Nothing is said of published weights of another architecture: their reader refuses them.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if path is None:
        return None
    content = checkpoint.load(path)
    if content.metadata:
        return recorded_classes(content.metadata, path)
    if not fits(content.tensors, architecture):
        return None
    return recorded_classes(from_published(content, architecture)[1])


@dataclass(frozen=True)
class StartFile:
    """The file of the network that a training begins with.

    Attributes:
        path: None: it begins with a new network.
        architecture: of the network.
    """

    path: Path | None
    architecture: str

    def classes(self) -> Classes | None:
        """What the network tells apart, as :func:`classes_in_file` has it."""
        return classes_in_file(self.path, self.architecture)


NEW_NETWORK = StartFile(None, "")


def float_of_classes(path: Path, architecture: str, classes: int, new_head: bool = False) -> nn.Cell:
    """The float network of a file, for images of so many classes.

    Args:
        path: of the file.
        architecture: of the network.
        classes: of the images.
        new_head: the last layer is a new one, whatever classes the file's network tells apart.

    Raises:
        CheckpointError: as :func:`load_float`; without ``new_head`` also if the file has other classes.
    """
    stored = load_float(path, architecture)
    if not new_head:
        return of_classes(path, stored, classes)
    network, trained = model(architecture).build(classes), network_state.state(stored.network)
    shapes, wider = signature(architecture, classes), signature(architecture, classes + 1)
    body = {name: trained[name] for name in shapes if shapes[name] == wider[name]}
    network_state.restore(network, network_state.state(network) | body)
    return network


def of_classes(path: str | Path, stored: StoredNetwork, classes: int) -> nn.Cell:
    """The network of a file, if it tells as many classes apart as the data have.

    Raises:
        CheckpointError: another number of classes.
    """
    recorded = stored.metadata["num_classes"]
    if recorded != classes:
        raise CheckpointError(f"{path}: expected a network of the data's {classes} classes, found one of {recorded}")
    return stored.network


def load_float(path: str | Path, architecture: str) -> StoredNetwork:
    """Read a float network of an architecture.

    Raises:
        CheckpointError: the file is missing, damaged, holds a quantized network, another architecture, or a run's
            state.
    """
    content = checkpoint.load(path)
    tensors, metadata = content.tensors, dict(content.metadata)
    if not metadata:
        tensors, metadata = from_published(content, architecture)
    if metadata.get("kind") != "float":
        kind = "the state of a training run" if "run" in metadata else f"a {metadata.get('kind', 'different')} one"
        raise CheckpointError(f"{path}: expected a float network, found {kind}; give the float original")
    metadata["network"] = recorded_architecture(metadata)
    if metadata["network"] != architecture:
        raise CheckpointError(f"{path}: expected {architecture}, found {metadata['network']}; change --arch")
    classes = metadata.get("num_classes")
    if not isinstance(classes, int) or classes < 1:
        raise CheckpointError(f"{path}: expected num_classes of at least 1 in the metadata, found {classes!r}")
    check_size(content, architecture, classes)
    recorded_classes(metadata, path)  # damaged names are refused here
    network = model(architecture).build(classes)
    restore(network, tensors, content, architecture)
    return StoredNetwork(network, metadata)
