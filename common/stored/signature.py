"""Names and shapes of an architecture's parameters, known without allocating any; which architecture a file is of."""

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from common.checkpoint import Checkpoint
from common.errors import CheckpointError
from common.models.registry import MODELS, model

Shapes = dict[str, tuple[int, ...]]

_LAST_BIASES = ("head.fc.bias", "fc.bias", "classifier.1.bias", "head.bn2.beta")
_DEFAULT_CLASSES = 10
_MOST_CLASSES = 1_000_000
# Of a network to a byte of its file. Packed weights take a bit or more each, but for those of no bits.
_PARAMETERS_PER_BYTE = 64
_ALWAYS, _NEVER = 2**24, 2**28  # parameters: 64 MiB are built in any case, more than 1 GiB in none


def class_count(tensors: Mapping[str, np.ndarray]) -> int:
    """Number of classes by the last layer's bias; 10 where none has a known name."""
    biases = (tensors[name] for name in _LAST_BIASES if name in tensors)
    return len(np.atleast_1d(next(biases, np.zeros(_DEFAULT_CLASSES))))


def signature(architecture: str, num_classes: int) -> Shapes:
    """Shapes of the parameters by their names."""
    return _shapes(model(architecture).build, num_classes)


@functools.cache  # by what builds the network: a name can be registered anew
def _shapes(build: Callable[[int], nn.Cell], num_classes: int) -> Shapes:
    with no_init_parameters():
        network = build(num_classes)
    return {name: tuple(parameter.shape) for name, parameter in network.parameters_and_names()}


def fitting(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """The architectures whose names and shapes, of any number of classes, are those of a published file."""
    return [name for name in MODELS if fits(tensors, name)]


def fits(tensors: Mapping[str, np.ndarray], architecture: str) -> bool:
    """Whether the names and shapes of a published file are those of an architecture, of any number of classes."""
    named = model(architecture).from_published(tensors)
    shapes = {name: value.shape for name, value in named.items()}
    return shapes == signature(architecture, max(1, class_count(named)))


def check_size(content: Checkpoint, architecture: str, num_classes: int) -> None:
    """Make sure that a network of the recorded size can be what a file holds, before it is built.

    Raises:
        CheckpointError: its metadata ask for a network of far more parameters than the file has room for.
    """
    if num_classes <= _MOST_CLASSES:
        parameters = sum(map(math.prod, signature(architecture, num_classes).values()))
        stored = sum(array.nbytes for array in content.tensors.values())
        if parameters <= min(max(_PARAMETERS_PER_BYTE * stored, _ALWAYS), _NEVER):
            return
    raise CheckpointError(
        f"{content.path}: expected tensors of a {architecture} of {num_classes:,} classes, found too few for it; the "
        "metadata are wrong, take the file from another place"
    )
