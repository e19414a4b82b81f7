"""Inert stand-ins for the PyTorch objects of a state file: storages are declared first and read later."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.checkpoint.tensor_bytes import BFLOAT16
from common.errors import CheckpointError
from common.files.restricted_pickle import StandIn

_MAX_DIMENSIONS = 32  # NumPy's limit
_STORAGE_KINDS = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class StorageType:
    """Stands for a storage class such as ``torch.FloatStorage``."""

    kind: str


@dataclass(frozen=True)
class Storage:
    """A flat run of ``size`` elements, kept in the file under ``key``."""

    key: str
    kind: str
    size: int


@dataclass(frozen=True)
class StridedTensor:
    """A tensor over a storage; offset and strides count elements, and every element lies inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def view(self, elements: np.ndarray) -> np.ndarray:
        """Show the storage's ``elements`` in this tensor's shape: a read-only view, nothing is copied.

        Views keep the memory bounded by the file when many tensors share one storage.
        """
        if math.prod(self.shape) == 0:
            return elements[:0].reshape(self.shape)
        # The stride of a dimension of size 1 is arbitrary in PyTorch and could overflow.
        strides = [s * elements.itemsize if n > 1 else 0 for n, s in zip(self.shape, self.stride)]
        start = elements[self.offset :]
        return np.lib.stride_tricks.as_strided(start, self.shape, strides, writeable=False)


class StorageTable:
    """All storages that a pickle declares, by key."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}

    def declare(self, identity: Any) -> Storage:
        """Answer a persistent id ``('storage', type, key, location, size[, view])``.

        Raises:
            CheckpointError: It has another form, or contradicts an earlier declaration of the same key.
        """
        match identity:
            case ("storage", StorageType(kind), str(key), str(), size) if _is_index(size):
                storage = Storage(key, kind, size)
            case ("storage", StorageType(kind), str(key), str(), size, None) if _is_index(size):
                storage = Storage(key, kind, size)
            case _:
                raise CheckpointError("the file declares a storage in a form that is not supported")
        if self.storages.setdefault(key, storage) != storage:
            raise CheckpointError(f"the file declares the storage {key!r} twice, with different types or sizes")
        return storage


def _rebuild_tensor(storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> StridedTensor:
    """Check what the file declares before anything is allocated for it."""
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise CheckpointError("the file declares a tensor in a form that is not supported")
    if len(size) != len(stride) or len(size) > _MAX_DIMENSIONS or not all(map(_is_index, (offset, *size, *stride))):
        raise CheckpointError("the file declares a tensor with an impossible shape, stride or offset")
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride))
    if count > storage.size or (count and last >= storage.size):
        raise CheckpointError(
            f"the file declares a tensor of shape {size} beyond its storage of {storage.size} elements"
        )
    return StridedTensor(storage, offset, size, stride)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _rebuild_tensor_v2(
    storage: Storage, offset: int, size: tuple, stride: tuple, requires_grad: Any, hooks: Any, metadata: Any = None
) -> StridedTensor:
    return _rebuild_tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor: StridedTensor, requires_grad: Any, hooks: Any) -> StridedTensor:
    return tensor


def _size(dimensions: Any) -> tuple:
    """Stand in for ``torch.Size``; the limit keeps a file from copying one long list again and again."""
    if not isinstance(dimensions, list | tuple) or len(dimensions) > _MAX_DIMENSIONS:
        raise CheckpointError("the file declares a size in a form that is not supported")
    return tuple(dimensions)


ALLOWED: dict[str, Any] = {
    **{f"torch.{name}": StorageType(kind) for name, kind in _STORAGE_KINDS.items()},
    "torch.Size": StandIn(_size),
    "torch._utils._rebuild_tensor": StandIn(_rebuild_tensor),  # PyTorch before 0.4
    "torch._utils._rebuild_tensor_v2": StandIn(_rebuild_tensor_v2),
    "torch._utils._rebuild_parameter": StandIn(_rebuild_parameter),
}
