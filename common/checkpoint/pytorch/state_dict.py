"""PyTorch state files (``.pth``, ``.th``) to arrays under MindSpore's parameter names. Needs no PyTorch."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.checkpoint.pytorch import container
from common.checkpoint.pytorch.tensors import StridedTensor
from common.checkpoint.reading import parsing, read_bytes
from common.errors import CheckpointError

_STATE_KEYS = ("state_dict", "net", "model")
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})$")
_COUNTER = "num_batches_tracked"
_BATCH_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def read_state_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict that ``torch.save`` wrote, in either of its formats.

    The file may hold the state dict itself or a dict that has it under ``state_dict``, ``net`` or ``model``, as
    training scripts save it. Nothing in the file is executed. A file name such as ``resnet20-12fca82f.th`` carries the
    first digits of the file's sha256, which are verified.

    Returns:
        Name to array, in the file's order. The arrays are read-only and may share memory; bfloat16 becomes float32.

    Raises:
        CheckpointError: The file is missing or damaged, or needs anything but plain tensors.
    """
    path = Path(path)
    content = read_bytes(path)
    _check_hash_in_name(path, content)
    with parsing(path):
        file = container.parse(content)
        return {name: file.array(tensor) for name, tensor in _find_state(file.root).items()}


def to_mindspore_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the tensors of a PyTorch state dict the names that the same layers have in MindSpore.

    A ``module.`` that all names share goes, so do the ``num_batches_tracked`` counters. Where a layer has a
    ``running_mean`` it is a BatchNorm: ``weight, bias, running_mean, running_var`` become ``gamma, beta, moving_mean,
    moving_variance``. All other names stay.

    Args:
        state: Name to array.

    Raises:
        CheckpointError: Two tensors would get the same name.
    """
    prefix = "module." if all(name.startswith("module.") for name in state) else ""
    layers = {name.rpartition(".")[0] for name in state if name.rpartition(".")[2] == "running_mean"}
    result: dict[str, np.ndarray] = {}
    for name, array in state.items():
        layer, dot, leaf = name.rpartition(".")
        if leaf == _COUNTER:
            continue
        leaf = _BATCH_NORM_NAMES.get(leaf, leaf) if layer in layers else leaf
        new_name = f"{layer}{dot}{leaf}".removeprefix(prefix)
        if new_name in result:
            raise CheckpointError(f"two tensors would both be named {new_name}, the second is {name}")
        result[new_name] = array
    return result


def _check_hash_in_name(path: Path, content: bytes) -> None:
    match = _HASH_IN_NAME.search(path.stem)
    if match is None:
        return
    expected, found = match[1], hashlib.sha256(content).hexdigest()[: len(match[1])]
    if found != expected:
        raise CheckpointError(
            f"{path}: expected sha256 {expected}... as its name says, found {found}...; the download is damaged, fetch"
            " it again (or rename the file if these digits are no hash)"
        )


def _find_state(root: Any) -> dict[str, StridedTensor]:
    if not isinstance(root, dict):
        raise CheckpointError(f"expected a state dict, found {type(root).__name__}")
    keys = [key for key in _STATE_KEYS if isinstance(root.get(key), dict)]
    if len(keys) > 1:
        raise CheckpointError(f"expected one state dict, found several: {', '.join(keys)}")
    state = root[keys[0]] if keys else root
    if not state:
        raise CheckpointError("expected tensors, found an empty state dict")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, StridedTensor):
            raise CheckpointError(f"expected a tensor under {name!r:.80}, found {type(value).__name__}")
    return state
