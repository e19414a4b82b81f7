"""Recorded steps as Python code that MindSpore compiles: :mod:`common.runtime.recording` written down as methods.

Numbers that follow the number of images are told by two recordings, of 2 and of 3 images.
"""

import atexit
import importlib.util
import itertools
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn
from mindspore import dtype as mstype

from common.errors import ConfigError
from common.runtime.recording import Recording, Ref, Step

COUNTS = (2, 3)  # of images of the two recordings
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@"}
_SIGNS |= {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_numbers = itertools.count()


class Writer:
    """Lines of code for the steps of a network.

    Args:
        network: whose cells and parameters the lines name, as attributes of ``self``.
        first: recording of 2 images.
        second: of 3 images.
        extra: what is put behind the arguments of a cell's call, by the cell's name.

    Attributes:
        constants: attributes of ``self`` that the lines need beside the network's own.

    Raises:
        ConfigError: the two recordings differ in more than numbers that follow the number of images.
    """

    def __init__(self, network: nn.Cell, first: Recording, second: Recording, extra: Mapping[str, str] | None = None):
        if len(first.steps) != len(second.steps):
            raise ConfigError("network: expected the same computations for 2 and for 3 images, found others")
        self.steps, self.others, self.extra = first.steps, second.steps, dict(extra or {})
        self.containers = {name for name, cell in network.cells_and_names() if _is_list(cell)}
        self.parameters = {id(parameter): name for name, parameter in network.parameters_and_names()}
        self.constants: dict[str, Any] = {}

    def lines(self, start: int, end: int) -> list[str]:
        """Those of the steps from ``start`` to before ``end``; n is the number of images."""
        return [f"v{index + 1} = {self._call(self.steps[index], self.others[index])}" for index in range(start, end)]

    def _call(self, step: Step, other: Step) -> str:
        parts = [self._text(a, b) for a, b in zip(step.args, other.args, strict=True)]
        named = [f"{key}={self._text(value, other.kwargs[key])}" for key, value in step.kwargs.items()]
        if step.kind == "operator":
            first, second = parts
            return f"{first}[{second}]" if step.target == "getitem" else f"{first} {_SIGNS[step.target]} {second}"
        if step.kind == "method":
            return f"{parts[0]}.{step.target}({', '.join(parts[1:] + named)})"
        if step.kind == "function":
            return f"{step.target}({', '.join(parts + named)})"
        if step.kind == "object":
            return f"{self._constant(step.target)}({', '.join(parts + named)})"
        extra = [self.extra[step.target]] if step.target in self.extra else []
        return f"self.{self._path(step.target)}({', '.join(parts + named + extra)})"

    def _path(self, name: str) -> str:
        text, place = "", ""
        for part in name.split("."):
            text += f"[{part}]" if place in self.containers and part.isdigit() else f".{part}"
            place = f"{place}.{part}".lstrip(".")
        return text.lstrip(".")

    def _constant(self, value: Any) -> str:
        if id(value) in self.parameters:
            return f"self.{self._path(self.parameters[id(value)])}"
        name = f"constant{len(self.constants)}"
        self.constants[name] = value
        return f"self.{name}"

    def _text(self, value: Any, other: Any) -> str:
        if isinstance(value, Ref):
            return f"v{value.index}"
        if isinstance(value, Parameter | Tensor):
            return self._constant(value)
        if isinstance(value, tuple | list):
            inner = ", ".join(self._text(a, b) for a, b in zip(value, other, strict=True))
            return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
        if isinstance(value, slice):
            ends = zip((value.start, value.stop, value.step), (other.start, other.stop, other.step))
            return f"slice({', '.join(self._text(a, b) for a, b in ends)})"
        if isinstance(value, mstype.Type | type(mstype.float32)):
            return f"mindspore.{str(value).lower()}"
        if value is Ellipsis:
            return "..."
        if isinstance(value, bool | float | str | type(None)):
            return repr(value)
        if isinstance(value, int):
            return _whole(value, other)
        raise ConfigError(f"network: expected numbers, texts and tensors as arguments, found {type(value).__name__}")


def _whole(value: int, other: int) -> str:
    if value == other:
        return repr(value)
    if value % COUNTS[0] == 0 and value * COUNTS[1] == other * COUNTS[0]:
        return f"n * {value // COUNTS[0]}"
    raise ConfigError(f"network: expected numbers that follow the number of images, found {value} and {other} of 2, 3")


def _is_list(cell: nn.Cell) -> bool:
    return isinstance(cell, nn.SequentialCell | nn.CellList)


_folder: list[tempfile.TemporaryDirectory] = []


def written_class(base: type, methods: Mapping[str, tuple[str, Iterable[str]]]) -> type:
    """A class of generated methods.

    Args:
        base: class that it extends.
        methods: arguments, and lines, of each method by its name.
    """
    text = ["import mindspore", "", "", f"class Written{base.__name__}(BASE):"]
    for name, (arguments, lines) in methods.items():
        text += [f"    def {name}(self, {arguments}):", *(f"        {line}" for line in lines), ""]
    if not _folder:
        _folder.append(tempfile.TemporaryDirectory(prefix="lowbitzoo-"))
        atexit.register(_folder[0].cleanup)
    name = f"lowbitzoo_written_{next(_numbers)}"
    file = Path(_folder[0].name) / f"{name}.py"  # MindSpore compiles from the source that it finds in a file
    file.write_text("\n".join(text), encoding="utf-8")
    import sys

    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    module.BASE = base
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return getattr(module, f"Written{base.__name__}")
