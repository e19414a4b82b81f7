"""The restricted unpickler by itself: what it builds, what it calls, what it refuses."""

import pickle
import struct
import tracemalloc
from collections import OrderedDict
from io import BytesIO

import pytest

from common.errors import PickleError
from common.files import restricted_pickle
from common.files.restricted_pickle import Record, StandIn, load

PLAIN = {"list": [1, -70000, 2**80, 1.5, None, True, False], "bytes": b"ab", "nested": ((), (1,), (1, 2), {b"k": [{}]})}


def read(content: bytes, **stand_ins):
    return load(BytesIO(content), {f"module.{name}": value for name, value in stand_ins.items()})


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_data(protocol):
    assert read(pickle.dumps(PLAIN, protocol)) == PLAIN
    assert read(pickle.dumps(OrderedDict(PLAIN), protocol)) == PLAIN


def test_bytearray():
    assert read(pickle.dumps(bytearray(b"abc"), 5)) == b"abc"


def test_stream_stays_behind_the_pickle():
    stream = BytesIO(pickle.dumps(1, 2) + pickle.dumps("two", 2) + b"rest")
    assert [load(stream, {}), load(stream, {}), stream.read()] == [1, "two", b"rest"]


def test_persistent_ids():
    assert load(BytesIO(b"\x80\x02K\x05Q."), {}, lambda identity: identity + 1) == 6
    with pytest.raises(PickleError, match="refers to a storage where none can be"):
        read(b"\x80\x02K\x05Q.")


def test_a_record_keeps_its_state():
    class Made(Record):
        def __init__(self, number):
            self.number = number

    made = read(b"\x80\x02cmodule\nmade\nK\x03\x85R}X\x01\0\0\0aK\x04sb.", made=StandIn(Made))
    assert isinstance(made, Made) and made.number == 3 and made.state == {"a": 4}


@pytest.mark.parametrize(
    "target", [b"K\x01", b"]", b")", b"cmodule\nplain\n", b"cmodule\nmade\n", b"cmodule\nmade\n)R"]
)
def test_nothing_else_keeps_a_state(target):
    stand_ins = {"plain": Record, "made": StandIn(object)}
    with pytest.raises(PickleError, match="expected a dict in the pickle"):
        read(b"\x80\x02" + target + b"}b.", **stand_ins)


@pytest.mark.parametrize("target", [b"K\x01", b"cmodule\nplain\n", b"cmodule\nmade\n)R"])
def test_only_stand_ins_are_called(target):
    with pytest.raises(PickleError, match="expected a StandIn in the pickle"):
        read(b"\x80\x02" + target + b")R.", plain=list, made=StandIn(Record))


def test_a_global_is_looked_up_and_never_imported():
    with pytest.raises(PickleError, match=r"asks for the global 'os\.system'.*nothing was run"):
        read(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(PickleError, match="'xxx") as caught:
        read(b"\x80\x02c" + b"x" * 1000 + b"\ny\n.")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("opcode", [b"(o", b")\x81", b"\x82\x01", b"\x97", b"\x8f", b"\x98", b"S'a'\n"])
def test_other_opcodes(opcode):
    with pytest.raises(PickleError, match=r"the pickle opcode [A-Z0-9_]+, .*nothing was run"):
        read(b"\x80\x04" + opcode + b".")


@pytest.mark.parametrize("depth", [101, 60_000])
def test_nesting_is_bounded_and_costs_no_stack(depth):
    with pytest.raises(PickleError, match="nested at most 100 deep"):
        read(b"\x80\x02)" + b"\x85" * depth + b".")
    with pytest.raises(PickleError, match="expected plain dictionary keys in the pickle, found tuple"):
        read(b"\x80\x02})" + b"\x85" * depth + b"K\x01s.")
    assert isinstance(read(b"\x80\x02)" + b"\x85" * 99 + b"."), tuple)


def test_the_number_of_steps_is_bounded(monkeypatch):
    monkeypatch.setattr(restricted_pickle, "_MOST_OPCODES", 100)
    assert len(read(b"\x80\x02](" + b"N" * 90 + b"e.")) == 90
    with pytest.raises(PickleError, match="at most 100 steps"):
        read(b"\x80\x02](" + b"N" * 100 + b"e.")


def test_keys_of_one_hash_are_refused():
    """Integers that differ by the modulus of their hash share it: a dict of many would take quadratic time."""
    assert read(pickle.dumps({2**60: 1, -1: 2}, 2)) == {2**60: 1, -1: 2}
    with pytest.raises(PickleError, match="at most 60 bits"):
        read(pickle.dumps({2**61 - 1: 1}, 2))


@pytest.mark.parametrize(
    "content",
    [
        b"K\x01r\xff\xff\xff\x7f.",
        b"B\xff\xff\xff\x7f",
        b"\x8e" + struct.pack("<Q", 2**40),
        b"\x96" + struct.pack("<Q", 2**40),
        b"\x95" + struct.pack("<Q", 2**40),
        b"T\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
    ],
    ids=["memo", "bytes4", "bytes8", "bytearray8", "frame", "string", "long4"],
)
def test_declared_sizes_cost_no_memory(content):
    tracemalloc.start()
    try:
        if content.endswith(b"."):
            assert read(b"\x80\x05" + content) == 1
        else:
            with pytest.raises(ValueError, match=r"expected \d+ bytes|not enough data|exhausted"):
                read(b"\x80\x05" + content)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
