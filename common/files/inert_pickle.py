"""A pickle reader that goes past foreign objects: plain data are built, of any other object only a name is kept.

Training scripts store schedulers, counters, namespaces and NumPy scalars beside the weights. Nothing of them is
imported, called or allocated here: each class or function is a :class:`Foreign`, and so is what the file makes of one.
Items of a dict whose keys are no plain data are left out.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from common.errors import PickleError
from common.files.restricted_pickle import KEY_TYPES, Machine, StandIn, run

_VALUES = {"INT", "LONG", "FLOAT", "STRING", "UNICODE"}  # as text, in the oldest protocols
_ALIASES = {"PUT": "BINPUT", "GET": "BINGET"}
# What changes an object, and the number of values above it on the stack; None: all above the mark.
_CHANGES = {"BUILD": 1, "APPEND": 1, "SETITEM": 2, "APPENDS": None, "SETITEMS": None, "ADDITEMS": None}
_LONGEST_NAME = 80


class Foreign:
    """What stands for an object, a class or a function that is not known here: a name and nothing else.

    Attributes:
        name: of the class or function in the file.
    """

    def __init__(self, name: str) -> None:
        self.name = name


def load(stream: BytesIO, allowed: Mapping[str, Any], persistent_load: Callable[[Any], Any]) -> Any:
    """Read one pickle; the arguments and errors are those of :func:`common.files.restricted_pickle.load`."""
    return run(_InertMachine(allowed, persistent_load), stream)


class _InertMachine(Machine):
    """Also knows the opcodes of foreign objects, and what would change one is dropped."""

    def execute(self, name: str, argument: Any) -> None:
        name = _ALIASES.get(name, name)
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CHANGES and isinstance(self._changed(_CHANGES[name]), Foreign):
            self._drop(_CHANGES[name])
        else:
            super().execute(name, argument)

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        if isinstance(key, KEY_TYPES):
            super().set_item(target, key, value)

    def _changed(self, values: int | None) -> Any:
        return self.below_mark[-1][-1] if values is None else self.stack[-1 - values]

    def _drop(self, values: int | None) -> None:
        if values is None:
            self.pop_to_mark()
        else:
            del self.stack[-values:]

    def _push_global(self, module: str, name: str) -> None:
        full_name = f"{module}.{name}"
        self.stack.append(self.allowed[full_name] if full_name in self.allowed else Foreign(full_name[:_LONGEST_NAME]))

    def _make(self, kind: Any) -> None:
        """Put what stands for an object of a class onto the stack."""
        if not isinstance(kind, Foreign | StandIn):
            raise PickleError(f"expected a class in the pickle, found {type(kind).__name__}; nothing was run")
        self.stack.append(Foreign(kind.name if isinstance(kind, Foreign) else "a known function"))

    def op_reduce(self, argument: None) -> None:
        if isinstance(self.stack[-2], Foreign):
            self.op_newobj(argument)
        else:
            super().op_reduce(argument)

    def op_newobj(self, _: None) -> None:
        self.pop()
        self._make(self.pop())

    def op_newobj_ex(self, argument: None) -> None:
        self.pop()
        self.op_newobj(argument)

    def op_obj(self, _: None) -> None:
        self._make(self.pop_to_mark()[0])

    def op_inst(self, names: str) -> None:
        self.pop_to_mark()
        self.op_global(names)
        self._make(self.pop())

    def op_empty_set(self, _: None) -> None:
        self.stack.append(Foreign("builtins.set"))

    def op_frozenset(self, _: None) -> None:
        self.pop_to_mark()
        self.stack.append(Foreign("builtins.frozenset"))

    def op_dict(self, _: None) -> None:
        items = self.pop_to_mark()
        made: dict = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.set_item(made, key, value)
        self.stack.append(made)

    def op_list(self, _: None) -> None:
        items = self.pop_to_mark()  # puts back the stack below
        self.stack.append(items)

    def op_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])
