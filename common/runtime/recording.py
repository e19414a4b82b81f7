"""The steps of a network's forward pass, recorded while it runs: cells, functions and methods of tensors in order.

A network that is changed as a whole, such as one that hands its layers another input, must be written down anew. What
its ``construct`` says in Python is gone through; what it computes is recorded. Cells that hold no wanted layer are one
step each, whatever is inside.
"""

import contextlib
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from common.errors import ConfigError
from common.runtime.context import execution_mode

_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "lt", "le", "gt", "ge")
_FUNCTIONS = {"mindspore.ops": ms.ops, "mindspore.mint": ms.mint, "mindspore.mint.nn.functional": ms.mint.nn.functional}


@dataclass(frozen=True)
class Ref:
    """The result of a step, by its number; 0 is the network's input."""

    index: int


def refs(value: Any) -> Iterator[Ref]:
    """The results of steps in an argument, in their order, also inside of sequences, mappings and slices."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, slice):
        yield from refs((value.start, value.stop, value.step))
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from refs(part)


@dataclass(frozen=True, eq=False)
class Step:
    """One computation.

    Attributes:
        kind: ``cell``, ``function``, ``method``, ``operator`` or ``object`` (something else that is called).
        target: name of the cell, dotted name of the function, name of the method or operator, or the object.
        args: positional arguments, results of other steps as :class:`Ref`.
        kwargs: the named ones.
    """

    kind: str
    target: Any
    args: tuple
    kwargs: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """A forward pass.

    Attributes:
        steps: step i has the result ``Ref(i + 1)``.
        values: result of each step, the input first; tensors, or tuples of them.
        output: what the network gives.
        outputs: results of all cells by name, also of those that are gone through.
    """

    steps: tuple[Step, ...]
    values: tuple[Any, ...]
    output: Ref
    outputs: dict[str, Ref]


class Traced:
    """A tensor whose use is recorded."""

    def __init__(self, value: Any, index: int, recorder: "_Recorder"):
        self.value, self.index, self.recorder = value, index, recorder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.value, name)
        if not callable(found) or name == "dtype":
            return found
        return lambda *args, **kwargs: self.recorder.add("method", name, found, (self, *args), kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.recorder.add("operator", "getitem", operator.getitem, (self, key), {})

    def __neg__(self) -> Any:
        return self.recorder.add("operator", "mul", operator.mul, (self, -1.0), {})

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self.value)))


def _operator(name: str) -> tuple[Callable, Callable]:
    apply = getattr(operator, name)
    return (
        lambda self, other: self.recorder.add("operator", name, apply, (self, other), {}),
        lambda self, other: self.recorder.add("operator", name, apply, (other, self), {}),
    )


for _name in _OPERATORS:
    _forward, _reflected = _operator(_name)
    setattr(Traced, f"__{_name}__", _forward)
    if _name not in ("lt", "le", "gt", "ge"):
        setattr(Traced, f"__r{_name}__", _reflected)


class _Recorder:
    def __init__(self, network: nn.Cell, wanted: set[int], deep: bool):
        self.steps: list[Step] = []
        self.values: list[Any] = []
        self.outputs: dict[str, Ref] = {}
        self.names = {id(cell): name for name, cell in network.cells_and_names()}
        cells = [cell for _, cell in network.cells_and_names()]
        inside = {id(part) for cell in cells if id(cell) in wanted for _, part in cell.cells_and_names()}
        holds = [cell for cell in cells if any(id(part) in wanted for _, part in cell.cells_and_names())]
        self.through = {id(cell) for cell in (cells if deep else holds)} - inside

    def begin(self, images: Tensor) -> Traced:
        self.values.append(images)
        return Traced(images, 0, self)

    def add(self, kind: str, target: Any, compute: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        plain = _deep(args, lambda part: part.value)
        named = _deep(kwargs, lambda part: part.value)
        value = compute(*plain[1:], **named) if kind == "method" else compute(*plain, **named)
        refer = lambda part: Ref(part.index)  # noqa: E731
        self.steps.append(Step(kind, target, _deep(args, refer), _deep(kwargs, refer)))
        self.values.append(value)
        return Traced(value, len(self.steps), self) if isinstance(value, Tensor | tuple | list) else value

    def cell(self, cell: nn.Cell, before: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        name = self.names.get(id(cell))
        if id(cell) in self.through:
            given = cell.construct(*args, **kwargs)
        elif name is None:
            given = self.add("object", cell, lambda *a, **k: before(cell, *a, **k), args, kwargs)
        else:
            given = self.add("cell", name, lambda *a, **k: before(cell, *a, **k), args, kwargs)
        if name is not None and isinstance(given, Traced):
            self.outputs[name] = Ref(given.index)
        return given


def record(network: nn.Cell, images: np.ndarray, layers: dict[str, nn.Cell], deep: bool = False) -> Recording:
    """Run a network once, in PYNATIVE mode and in the mode of training or evaluation that it is in.

    Args:
        network: of images (N, 3, H, W).
        images: to run on.
        layers: of the network, by name: each becomes a step of its own.
        deep: whether cells that hold none of them are gone through too.

    Raises:
        ConfigError: a network whose ``construct`` does what cannot be recorded.
    """
    recorder = _Recorder(network, {id(cell) for cell in layers.values()}, deep)
    start = recorder.begin(Tensor(images))
    with execution_mode("pynative"), _patched(recorder):
        try:
            output = network(start)
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            kind = type(network).__name__
            raise ConfigError(f"network: {kind} computes what cannot be written down as steps ({reason})") from error
    if not isinstance(output, Traced):
        raise ConfigError(f"network: expected one that gives logits of its images, found {type(output).__name__}")
    return Recording(tuple(recorder.steps), tuple(recorder.values), Ref(output.index), recorder.outputs)


@contextlib.contextmanager
def _patched(recorder: _Recorder) -> Iterator[None]:
    """While the block runs, what is done to traced tensors is recorded."""
    with contextlib.ExitStack() as undo:
        before = nn.Cell.__call__
        _set(undo, nn.Cell, "__call__", _cells(recorder, before))
        primitive = ops.Primitive.__call__
        _set(undo, ops.Primitive, "__call__", _primitives(recorder, primitive))
        for place, module in _FUNCTIONS.items():
            for name in dir(module):
                function = getattr(module, name)
                if not name.startswith("_") and callable(function) and not isinstance(function, type):
                    _set(undo, module, name, _function(recorder, f"{place}.{name}", function))
        yield


def _cells(recorder: _Recorder, before: Callable) -> Callable:
    def call(cell, *args, **kwargs):
        return recorder.cell(cell, before, args, kwargs) if _uses((args, kwargs)) else before(cell, *args, **kwargs)

    return call


def _primitives(recorder: _Recorder, before: Callable) -> Callable:
    def call(primitive, *args):
        if not _uses(args):
            return before(primitive, *args)
        return recorder.add("object", primitive, lambda *a: before(primitive, *a), args, {})

    return call


def _function(recorder: _Recorder, place: str, function: Callable) -> Callable:
    def call(*args, **kwargs):
        if not _uses((args, kwargs)):
            return function(*args, **kwargs)
        return recorder.add("function", place, function, args, kwargs)

    return call


def _set(undo: contextlib.ExitStack, place: Any, name: str, value: Any) -> None:
    undo.callback(setattr, place, name, getattr(place, name))
    setattr(place, name, value)


def _uses(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_uses, value))
    if isinstance(value, dict):
        return any(map(_uses, value.values()))
    return isinstance(value, Traced)


def _deep(value: Any, change: Callable[[Traced], Any]) -> Any:
    if isinstance(value, Traced):
        return change(value)
    if isinstance(value, Parameter | Tensor):
        return value
    if isinstance(value, tuple | list):
        return type(value)(_deep(part, change) for part in value)
    if isinstance(value, dict):
        return {key: _deep(part, change) for key, part in value.items()}
    return value
