"""The methods: the one table of their packages, which are imported only when they are used."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from common import checkpoint
from common.errors import CheckpointError, ConfigError
from common.runtime.installed import require_mindspore
from common.zoo.registry import find

METHODS = {
    "AdderQuant": "AdderQuant",
    "DAMBQ": "DAMBQ",
    "DynamicQuant": "DynamicQuant",
    "LDNQ": "LDNQ",
    "ProQHA": "ProQHA",
}
# A published file does not say what it is; in one of adder layers the weights have this name.
_ADDER_WEIGHT, _ADDER, _FLOAT = ".adder", "AdderQuant", "LDNQ"


def part(method: str, module: str) -> ModuleType:
    """A module of a method, such as ``part("DAMBQ", "storage")``.

    Raises:
        ConfigError: an unknown method, or MindSpore is not installed.
    """
    if method not in METHODS:
        raise ConfigError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")
    require_mindspore(method)
    return importlib.import_module(f"{METHODS[method]}.{module}")


def method_of(name_or_file: str | Path) -> str:
    """The method that takes a checkpoint: the registered one, else the one that the file records.

    A published file without metadata is a float network: AdderQuant takes those of adder layers, LDNQ the others.

    Raises:
        CheckpointError: the file is missing, damaged, or of another project.
        ConfigError: the name is not registered.
    """
    path = Path(name_or_file)
    if not path.exists() and not path.suffix:
        return find(str(name_or_file)).method
    file = checkpoint.load(path)
    if not file.metadata:
        return _ADDER if any(name.endswith(_ADDER_WEIGHT) for name in file.tensors) else _FLOAT
    recorded = file.metadata.get("method")
    if recorded not in METHODS:
        raise CheckpointError(
            f"{name_or_file}: expected a network of {', '.join(METHODS)}, found method {recorded!r}; give another file"
        )
    return recorded


def evaluation_of(name_or_file: str) -> Callable[[list[str]], None]:
    """The ``main`` of the ``eval.py`` that takes a checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged, or of another project.
        ConfigError: the name is not registered, or MindSpore is not installed.
    """
    return part(method_of(name_or_file), "eval").main
