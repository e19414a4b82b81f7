"""A pickle reader that can only build plain data and call the given stand-ins.

The standard unpickler imports whatever a file names, and even with ``find_class`` restricted it calls ``__setstate__``
and allocates what a file declares (one damaged LONG_BINPUT index costs gigabytes). This interpreter knows the opcodes
that plain data consist of and refuses every other one; a global is only looked up in an allow-list, never imported.
Memory and time are linear in the size of the pickle, as long as no stand-in copies what it is given; the number of
opcodes and the depth of nesting are bounded.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from common.errors import PickleError

# The opcodes whose argument is the value itself.
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_CONTAINERS = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_NO_EFFECT = {"PROTO", "FRAME", "STOP"}
_LARGEST_KEY = 2**60  # beyond it integers can be chosen that all have the same hash
_MOST_OPCODES = 2_000_000  # about four seconds, and 200 MB if each makes a container
_DEEPEST = 100
# Hashing recurses in C: a deeply nested tuple as a key would overflow the stack.
KEY_TYPES = (str, int, float, bytes, type(None))


@dataclass(frozen=True)
class StandIn:
    """A function of this project that a pickle may call under a foreign name."""

    call: Callable[..., Any]


class Record:
    """What a stand-in may make of a call whose result the pickle gives a state; the state is kept as it is."""

    state: Any = None


def load(stream: BytesIO, allowed: Mapping[str, Any], persistent_load: Callable[[Any], Any] | None = None) -> Any:
    """Read one pickle and leave the stream right behind it.

    Args:
        stream: Positioned at the pickle's first opcode.
        allowed: Full name of a global, such as ``torch.Size``, to the object that stands for it. Only a
            :class:`StandIn` can be called, and only a :class:`Record` that it returns keeps a state.
            ``collections.OrderedDict`` is always known and builds a dict.
        persistent_load: Called with each persistent id.

    Raises:
        PickleError: The pickle uses another global or opcode, is nested too deeply or holds too much.
        Exception: Of whatever type, on damaged data; the caller wraps it.
    """
    return run(Machine(allowed, persistent_load), stream)


def run(machine: "Machine", stream: BytesIO) -> Any:
    """What a machine makes of the pickle that the stream is at.

    Raises:
        PickleError: it has too many steps, or its result is nested too deeply.
    """
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count >= _MOST_OPCODES:
            raise PickleError(f"expected a pickle of at most {_MOST_OPCODES:,} steps, found more")
        machine.execute(opcode.name, argument)
    result = machine.pop()
    _check_depth(result)
    return result


def _check_depth(root: Any) -> None:
    """Refuse what is nested so deeply that whoever walks, compares or prints it would overflow the stack."""
    level, seen = [root], set()
    for _ in range(_DEEPEST):
        children: list[Any] = []
        for value in level:
            if isinstance(value, dict | list | tuple) and id(value) not in seen:
                seen.add(id(value))
                children.extend(value.values() if isinstance(value, dict) else value)
        if not children:
            return
        level = children
    raise PickleError(f"expected values nested at most {_DEEPEST} deep in the pickle, found deeper ones")


def _ordered_dict(items: list | None = None) -> dict:
    """Build a dict; Python 2 passed the items as a list of pairs."""
    result: dict = {}
    if items is not None:
        _expect(items, list)
        for key, value in items:
            _set_item(result, key, value)
        items.clear()  # so that a file cannot multiply one long list by passing it again and again
    return result


def _set_item(target: Any, key: Any, value: Any) -> None:
    _expect(target, dict)
    if not isinstance(key, KEY_TYPES):
        raise PickleError(f"expected plain dictionary keys in the pickle, found {type(key).__name__}; nothing was run")
    if isinstance(key, int) and abs(key) > _LARGEST_KEY:
        raise PickleError("expected dictionary keys of at most 60 bits in the pickle, found a larger integer")
    target[key] = value


def _expect(value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise PickleError(f"expected a {kind.__name__} in the pickle, found {type(value).__name__}")


class Machine:
    """Stack, marks and memo of the pickle protocol; one ``op_`` method per opcode."""

    def __init__(self, allowed: Mapping[str, Any], persistent_load: Callable[[Any], Any] | None) -> None:
        self.allowed = {"collections.OrderedDict": StandIn(_ordered_dict), **allowed}
        self.persistent_load = persistent_load
        self.stack: list[Any] = []
        self.below_mark: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def execute(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self.stack.append(_CONTAINERS[name]())
        elif name not in _NO_EFFECT:
            self._operation(name)(argument)

    def _operation(self, name: str) -> Callable[[Any], None]:
        operation = getattr(self, f"op_{name.lower()}", None)
        if operation is None:
            raise PickleError(f"the file uses the pickle opcode {name}, which plain data do not; nothing was run")
        return operation

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below_mark.pop()
        return items

    def op_mark(self, _: None) -> None:
        self.below_mark.append(self.stack)
        self.stack = []

    def op_tuple(self, _: None) -> None:
        items = self.pop_to_mark()
        self.stack.append(tuple(items))

    def op_tuple1(self, _: None) -> None:
        self.stack.append((self.pop(),))

    def op_tuple2(self, _: None) -> None:
        last = self.pop()
        self.stack.append((self.pop(), last))

    def op_tuple3(self, _: None) -> None:
        last, middle = self.pop(), self.pop()
        self.stack.append((self.pop(), middle, last))

    def op_append(self, _: None) -> None:
        item = self.pop()
        _expect(self.stack[-1], list)
        self.stack[-1].append(item)

    def op_appends(self, _: None) -> None:
        items = self.pop_to_mark()
        _expect(self.stack[-1], list)
        self.stack[-1].extend(items)

    def op_setitem(self, _: None) -> None:
        value, key = self.pop(), self.pop()
        self.set_item(self.stack[-1], key, value)

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        """Put an item into a dict."""
        _set_item(target, key, value)

    def op_setitems(self, _: None) -> None:
        items = self.pop_to_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.set_item(self.stack[-1], key, value)

    def op_binput(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    op_long_binput = op_binput

    def op_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    op_long_binget = op_binget

    def op_binpersid(self, _: None) -> None:
        if self.persistent_load is None:
            raise PickleError("the pickle refers to a storage where none can be")
        self.stack.append(self.persistent_load(self.pop()))

    def op_global(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self._push_global(module, name)

    def op_stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        _expect(name, str)
        _expect(module, str)
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        full_name = f"{module}.{name}"
        if full_name not in self.allowed:
            raise PickleError(
                f"the file asks for the global {full_name[:80]!r}, which such data do not need; nothing was run"
            )
        self.stack.append(self.allowed[full_name])

    def op_reduce(self, _: None) -> None:
        arguments, target = self.pop(), self.pop()
        _expect(target, StandIn)
        _expect(arguments, tuple)
        self.stack.append(target.call(*arguments))

    def op_build(self, _: None) -> None:
        """Keep the state of a record, drop the attributes of an OrderedDict (``_metadata`` of a state dict)."""
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        else:
            _expect(target, dict)
