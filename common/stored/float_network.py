"""Float networks from files: of this project, whichever method trained them, or published PyTorch state files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model, recorded_architecture

_LAST_BIASES = ("head.fc.bias", "fc.bias", "classifier.1.bias", "head.bn2.beta")


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A float network and what its file records.

    Attributes:
        network: ready to evaluate or train.
        metadata: ``kind`` (float), ``network``, ``num_classes`` and what else was recorded.
    """

    network: nn.Cell
    metadata: dict[str, Any]


def class_count(tensors: dict[str, np.ndarray]) -> int:
    """Number of classes by the last layer's bias; 10 where none has a known name."""
    biases = (tensors[name] for name in _LAST_BIASES if name in tensors)
    return len(np.atleast_1d(next(biases, np.zeros(10))))


def from_published(found: checkpoint.Checkpoint, model_name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors by our names, and metadata, of a file without metadata: a published state file of ``model_name``."""
    tensors = model(model_name).from_published(found.tensors)
    return tensors, {"kind": "float", "network": model_name, "num_classes": class_count(tensors)}


class Stored(Protocol):
    """A network from a file and what that records."""

    network: nn.Cell
    metadata: dict[str, Any]


def of_classes(path: str | Path, stored: Stored, classes: int) -> nn.Cell:
    """The network of a file, if it tells as many classes apart as the data have.

    Raises:
        CheckpointError: it does not.
    """
    found = stored.metadata["num_classes"]
    if found != classes:
        raise CheckpointError(f"{path}: expected a network of the data's {classes} classes, found one of {found}")
    return stored.network


def load_float(path: str | Path, model_name: str) -> FloatNetwork:
    """Read a float network of a model.

    Raises:
        CheckpointError: the file is missing, damaged, holds a quantized network, another model, or a run's state.
    """
    found = checkpoint.load(path)
    tensors, metadata = (found.tensors, dict(found.metadata)) if found.metadata else from_published(found, model_name)
    if metadata.get("kind") != "float":
        kind = "the state of a training run" if "run" in metadata else f"a {metadata.get('kind', 'different')} one"
        raise CheckpointError(f"{path}: expected a float network, found {kind}; give the float original")
    metadata["network"] = recorded_architecture(metadata)
    if metadata["network"] != model_name:
        raise CheckpointError(f"{path}: expected {model_name}, found {metadata['network']}; change the model's name")
    classes = metadata.get("num_classes")
    if not isinstance(classes, int) or classes < 1:
        raise CheckpointError(f"{path}: expected num_classes of at least 1 in the metadata, found {classes!r}")
    network = model(model_name).build(classes)
    network_state.restore(network, tensors, path)
    return FloatNetwork(network, metadata)
