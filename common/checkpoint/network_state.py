"""The parameters of a network as arrays, and back: all of them fit and are assigned, or none is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import CheckpointError

if TYPE_CHECKING:
    from mindspore import Parameter, nn

_MOST_LISTED = 10


def state(network: nn.Cell) -> dict[str, np.ndarray]:
    """Copies of all parameters, trainable or not, by their place in the network.

    Not by ``Parameter.name``: that changes when the network becomes part of a training step.
    """
    return {name: parameter.asnumpy().copy() for name, parameter in network.parameters_and_names()}


def digest(network: nn.Cell) -> str:
    """A short fingerprint of all parameters, which tells runs from different starts apart."""
    found = hashlib.sha256()
    for name, value in sorted(state(network).items()):
        found.update(name.encode() + value.tobytes())
    return found.hexdigest()[:16]


def restore(network: nn.Cell, tensors: Mapping[str, np.ndarray], path: str | Path = "") -> None:
    """Assign every parameter of a network, strictly: one tensor per parameter and nothing left over.

    A float may change its width, an integer too where its values allow it.

    Args:
        network: Its parameters are assigned in place, also in an already compiled graph.
        tensors: Name to array.
        path: The file, for messages.

    Raises:
        CheckpointError: A name is missing or unexpected, a shape or kind of number differs, or a value is not finite.
            Nothing has been assigned.
    """
    from mindspore import Tensor  # importing MindSpore takes seconds

    parameters = dict(network.parameters_and_names())
    faults = _listed("missing", [name for name in parameters if name not in tensors])
    faults += _listed("unexpected", [name for name in tensors if name not in parameters])
    values, misfits = _fitted(parameters, tensors)
    faults += _listed("not fitting", misfits)
    if faults:
        where = f"{path}: " if path else ""
        raise CheckpointError(f"{where}the checkpoint is not one of this network; {'; '.join(faults)}")
    for name, value in values.items():
        parameters[name].set_data(Tensor(value))


def _fitted(
    parameters: Mapping[str, Parameter], tensors: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors in their parameters' types, and a text for each that does not fit."""
    values, misfits = {}, []
    for name in parameters:
        if name in tensors:
            try:
                values[name] = _fit(tensors[name], parameters[name])
            except CheckpointError as error:
                misfits.append(f"{name} ({error})")
    return values, misfits


def _fit(array: np.ndarray, parameter: Parameter) -> np.ndarray:
    dtype = parameter.asnumpy().dtype
    if array.shape != tuple(parameter.shape):
        raise CheckpointError(f"expected shape {tuple(parameter.shape)}, found {array.shape}")
    if array.dtype.kind != dtype.kind:
        raise CheckpointError(f"expected {dtype}, found {array.dtype}")
    with np.errstate(over="ignore"):
        value = array.astype(dtype)
    if dtype.kind == "f" and not np.isfinite(value).all():
        raise CheckpointError(f"NaN or infinite values as {dtype}")
    if dtype.kind != "f" and not np.array_equal(value, array):
        raise CheckpointError(f"expected values in the range of {dtype}, found {array.min()} to {array.max()}")
    return value


def _listed(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return [f"{len(names)} {title}: {', '.join(names[:_MOST_LISTED])}{more}"]
