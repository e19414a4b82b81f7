"""The state dict of a PyTorch state file, under whichever key the file keeps it. Needs no PyTorch."""

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.checkpoint.pytorch import container
from common.checkpoint.pytorch.tensors import StridedTensor
from common.checkpoint.reading import parsing, read_bytes
from common.errors import CheckpointError
from common.files.inert_pickle import Foreign

# As torchvision and torch.hub name files. Digits without a letter are a date or a number of steps far more often.
_HASH_IN_NAME = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8,64})(?:\.[a-z]+)*$")
_AVERAGED = re.compile(r"(^|[_.])(ema|swa|avg|averaged?|shadow|teacher)|(ema|swa)$", re.IGNORECASE)
_NO_WEIGHTS = re.compile(r"(^|[_.])opt(im(izer)?s?)?(?![a-z])|sched|scaler", re.IGNORECASE)
_EXTRA = "_extra_state"
_DEEPEST = 4  # dicts between the file and its state
_MOST_DICTS = 1000
_MOST_LISTED = 12
_LONGEST_NAME = 1000
_USUAL_KEYS = "state_dict, model_state_dict, model, net, network, params, weights, ema or any other"

State = dict[str, StridedTensor]


def read_state_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict that ``torch.save`` wrote, in either of its formats.

    The file may hold the state dict itself or dicts that have it under any key, as training scripts save it; what else
    they keep beside it is passed over. Nothing in the file is executed. A file name such as ``resnet20-12fca82f.th``
    carries the first digits of the file's sha256, which are verified.

    Returns:
        Name to array, in the file's order. The arrays are read-only and may share memory; bfloat16 becomes float32.

    Raises:
        CheckpointError: The file is missing or damaged, or needs anything but plain tensors.
    """
    path = Path(path)
    content = read_bytes(path)
    with parsing(path):
        return read_state(content, path)


def read_state(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """The same of a file that has been read; its name says no hash, or the right one.

    Raises:
        CheckpointError: As :func:`read_state_file`, without the file's name.
        Exception: Of whatever type, on damage; the caller wraps it.
    """
    _check_hash_in_name(path, content)
    file = container.parse(content)
    return {name: file.array(tensor) for name, tensor in _find_state(file.root, path).items()}


def _check_hash_in_name(path: Path, content: bytes) -> None:
    match = _HASH_IN_NAME.search(path.name)
    if match is None:
        return
    expected, digest = match[1], hashlib.sha256(content).hexdigest()[: len(match[1])]
    if digest != expected:
        raise CheckpointError(
            f"expected sha256 {expected}... as its name says, found {digest}...; the download is damaged, fetch it "
            "again (or rename the file if these digits are no hash)"
        )


def _find_state(root: Any, path: Path) -> State:
    if isinstance(root, Foreign):
        raise CheckpointError(
            f"expected a state dict, found a whole object of {root.name}, of which nothing was run; if you trust its "
            "author, save model.state_dict() alone and use that file"
        )
    if not isinstance(root, dict):
        raise CheckpointError(f"expected a state dict, found {type(root).__name__}")
    if not root:
        raise CheckpointError("expected tensors, found an empty state dict")
    dicts = dict(_dicts(root))
    states = {keys: values for keys, values in dicts.items() if _is_state(values, keys)}
    if not states:
        raise CheckpointError(_none_found(dicts))
    key = _chosen(states)
    if others := [_shown(other) for other in states if other != key]:
        print(f"{path}: the state under {_shown(key)} is taken, not the averaged {', '.join(others)}", file=sys.stderr)
    return {name: tensor for name, tensor in states[key].items() if not name.endswith(_EXTRA)}


def _dicts(root: dict) -> Iterator[tuple[tuple[str, ...], dict]]:
    """The dicts of a file by the keys that lead to them, each once, the outermost first; none inside a state."""
    level: list[tuple[tuple[str, ...], dict]] = [((), root)]
    seen = {id(root)}
    for _ in range(_DEEPEST + 1):
        below: list[tuple[tuple[str, ...], dict]] = []
        for keys, values in level[:_MOST_DICTS]:
            yield keys, values
            for key, value in () if _is_state(values, keys) else values.items():
                if _may_hold(key, value) and id(value) not in seen:
                    seen.add(id(value))
                    below.append(((*keys, key), value))
        level = below


def _may_hold(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, dict) and not _NO_WEIGHTS.search(key)


def _is_state(values: dict, keys: tuple[str, ...]) -> bool:
    """Whether all values are tensors under names, and not all of them single numbers beside others, as of measures."""
    tensors = [value for value in values.values() if isinstance(value, StridedTensor)]
    named = all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in values)
    plain = len(tensors) == sum(not (isinstance(name, str) and name.endswith(_EXTRA)) for name in values)
    return named and plain and any(tensor.shape or not keys for tensor in tensors)


def _chosen(states: dict[tuple[str, ...], State]) -> tuple[str, ...]:
    """The only one, or the only one that is no average of others.

    Raises:
        CheckpointError: There are several.
    """
    if len(states) == 1:
        return next(iter(states))
    current = [keys for keys in states if not any(_AVERAGED.search(key) for key in keys)]
    if len(current) != 1:
        listed = ", ".join(map(_shown, list(states)[:_MOST_LISTED]))
        raise CheckpointError(f"expected one state dict, found several: {listed}; save the one to use alone")
    return current[0]


def _none_found(dicts: dict[tuple[str, ...], dict]) -> str:
    """A line that says what stands where weights were looked for."""
    for values in dicts.values():
        wrong = [name for name, value in values.items() if not isinstance(value, StridedTensor)]
        if 0 < len(wrong) <= len(values) / 2:
            return f"expected a tensor under {_shown((wrong[0],))!r}, found {_type(values[wrong[0]])}"
    root = list(dicts[()].items())
    kinds = ", ".join(f"{_shown((name,))} ({_type(value)})" for name, value in root[:_MOST_LISTED])
    more = f" and {len(root) - _MOST_LISTED} more" if len(root) > _MOST_LISTED else ""
    return f"expected a state dict, under {_USUAL_KEYS}, found {kinds}{more}; save model.state_dict() alone"


def _shown(keys: tuple[Any, ...]) -> str:
    return ".".join(f"{key!s:.40}" if isinstance(key, str | int) else type(key).__name__ for key in keys) or "no key"


def _type(value: Any) -> str:
    if isinstance(value, StridedTensor):
        return "tensor"
    return (
        f"an object of {value.name}, of which nothing was run" if isinstance(value, Foreign) else type(value).__name__
    )
