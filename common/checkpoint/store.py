"""Checkpoints that are verified when they are loaded and never half-written when they are saved.

``.ckpt`` files can be read by ``mindspore.load_checkpoint``, ``.safetensors`` files by any safetensors reader. Both
carry the metadata and one sha256 over everything. Integer codes are stored bit-packed at their real width::

    save("net.ckpt", {"conv.codes": codes, **state(rest)}, {"method": "LDNQ", "bits": 4}, packed={"conv.codes": 4})
    checkpoint = load("net.ckpt")
    require_metadata(checkpoint, method="LDNQ")
    restore(network, checkpoint.tensors, path="net.ckpt")
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.checkpoint import mindspore_format, safetensors_format
from common.checkpoint.kind import PYTORCH, Kind, kind_of
from common.checkpoint.network_state import restore, state
from common.checkpoint.pytorch.names import named_by_pytorch, to_mindspore_names
from common.checkpoint.pytorch.state_dict import read_state
from common.checkpoint.reading import parsing, read_bytes
from common.checkpoint.seal import PREFIX, is_sealed, make_seal, open_seal
from common.errors import CheckpointError, QuantizationError
from common.files.atomic_file import write_atomically
from common.quant.packing import pack, unpack

__all__ = ["Checkpoint", "load", "require_metadata", "restore", "save", "state"]

FORMAT_VERSION = 1
_FORMATS = {".ckpt": mindspore_format, ".safetensors": safetensors_format}
_DECODERS = {Kind.MINDSPORE: mindspore_format.decode_file, Kind.SAFETENSORS: safetensors_format.decode_file}
_INTEGERS = {f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)}
_DTYPES = {"bool", "float16", "float32", "float64", *_INTEGERS}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        tensors: Name to array, in the order of names for files of :func:`save`. Integer codes are unpacked. Treat
            the arrays as read-only: most of them are views of the file's content.
        metadata: What was given to :func:`save`; empty for files that something else wrote.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


def save(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    packed: Mapping[str, int] | None = None,
) -> None:
    """Write a checkpoint; ``path`` then holds all of it or, after any failure, what it held before.

    The same input gives the same bytes.

    Args:
        path: File name that ends in ``.ckpt`` or ``.safetensors``.
        tensors: Name to array of bool, integers or float16/32/64, at least one element each.
        metadata: Plain JSON data with string keys; tuples come back as lists.
        packed: Name of a uint8 tensor of codes to the bits per code, 1 to 8.

    Raises:
        CheckpointError: The suffix, a name, a tensor or the metadata cannot be stored, or the file not written.
        QuantizationError: A packed tensor is not uint8 or needs more bits.
    """
    path = Path(path)
    packed = dict(packed or {})
    if path.suffix not in _FORMATS:
        raise CheckpointError(f"{path}: expected a name ending in {' or '.join(_FORMATS)}, found {path.suffix!r}")
    _check_metadata_keys(metadata)
    stored = {name: _storable(name, tensors[name]) for name in _checked_names(tensors, packed)}
    codes = {name: _packed(name, stored[name], bits) for name, bits in packed.items()}
    layout = {name: [int(bits), list(stored[name].shape)] for name, bits in packed.items()}
    stored |= codes
    texts = make_seal(stored, {"format": FORMAT_VERSION, "packed": layout, "metadata": dict(metadata)})
    content = _FORMATS[path.suffix].encode(stored, texts)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror}); check folder, rights, space") from error


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint of MindSpore, of safetensors, or a state file of PyTorch; its content says which, not its name.

    Files of :func:`save` are verified against their sha256. Others are read as far as their format allows to check
    them: the texts in a foreign file are left out, PyTorch's names are converted to MindSpore's.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind.
    """
    path = Path(path)
    content = read_bytes(path)
    with parsing(path):
        kind = kind_of(content)
        if kind in PYTORCH:
            return Checkpoint(path, to_mindspore_names(read_state(content, path)), {})
        tensors, texts = _DECODERS[kind](content)
        if not tensors:
            raise CheckpointError("expected tensors, found none; copy or download the file again")
        if not is_sealed(content, texts):
            return Checkpoint(path, to_mindspore_names(tensors) if named_by_pytorch(tensors) else tensors, {})
        document = open_seal(tensors, texts)
        return Checkpoint(path, _unpacked(tensors, document), document["metadata"])


def require_metadata(checkpoint: Checkpoint, **expected: Any) -> None:
    """Make sure that the metadata has these values, for example ``method="LDNQ", network="resnet20"``.

    Raises:
        CheckpointError: A key is missing or has another value; all of them are named.
    """
    faults = []
    for key, value in expected.items():
        if key not in checkpoint.metadata:
            faults.append(f"expected {key} {value}, found none recorded")
        elif checkpoint.metadata[key] != json.loads(json.dumps(value)):  # as save() would have stored it
            faults.append(f"expected {key} {value}, found {checkpoint.metadata[key]}")
    if faults:
        raise CheckpointError(f"{checkpoint.path}: {'; '.join(faults)}; give a checkpoint of the right kind")


def _check_metadata_keys(value: Any) -> None:
    """JSON would quietly turn other keys into strings."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"expected strings as keys of the metadata, found {key!r}")
            _check_metadata_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_metadata_keys(item)


def _checked_names(tensors: Mapping[str, np.ndarray], packed: Mapping[str, int]) -> list[str]:
    """The names in order."""
    if not tensors:
        raise CheckpointError("expected at least one tensor to save, found none")
    for name in tensors:
        if not isinstance(name, str) or not name.isprintable() or not name or name == "__metadata__":
            raise CheckpointError(f"{name!r} cannot be the name of a tensor in a checkpoint")
        if name.startswith(PREFIX):
            raise CheckpointError(f"tensor {name}: names that begin with {PREFIX} are reserved; rename it")
    unknown = sorted(set(packed) - set(tensors))
    if unknown:
        raise CheckpointError(f"expected the name of a tensor to pack, found {unknown[0]}, which is not among them")
    return sorted(tensors)


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    """The array in C order and little-endian, which is what both formats store."""
    if not isinstance(array, np.ndarray) or array.dtype.name not in _DTYPES:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise CheckpointError(f"tensor {name}: expected an array of bool, integers or floats, found {found}")
    if array.size == 0:
        raise CheckpointError(f"tensor {name}: expected at least one element, found shape {array.shape}")
    return np.require(array, array.dtype.newbyteorder("<"), "C")


def _packed(name: str, codes: np.ndarray, bits: int) -> np.ndarray:
    try:
        return pack(codes, bits)
    except QuantizationError as error:
        raise QuantizationError(f"tensor {name}: {error}") from error


def _unpacked(tensors: dict[str, np.ndarray], document: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if document["format"] != FORMAT_VERSION:
        raise CheckpointError(
            f"expected checkpoint format {FORMAT_VERSION}, found {document['format']}; update this project"
        )
    packed = document["packed"]
    return {name: unpack(tensors[name], *packed[name]) if name in packed else tensors[name] for name in sorted(tensors)}
