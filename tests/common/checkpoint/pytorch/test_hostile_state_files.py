"""State files that try to run code, or that are no well-formed pickles."""

import pickle
import struct

import pytest
from torch_samples import call, integer, mapping, name_of, storage, tensor, text, zip_file

from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import CheckpointError


class Evil:
    def __init__(self, function, *arguments):
        self.reduction = function, arguments

    def __reduce__(self):
        return self.reduction


def attacks(sentinel):
    import os
    import subprocess

    code = f"open({str(sentinel)!r}, 'w').close()"
    return {
        "system": Evil(os.system, f"touch {sentinel}"),
        "exec": Evil(exec, code),
        "eval": Evil(eval, f"open({str(sentinel)!r}, 'w')"),
        "open": Evil(open, str(sentinel), "w"),
        "popen": Evil(subprocess.Popen, ["touch", str(sentinel)]),
        "nested": Evil(getattr, Evil(__import__, "os"), "system"),
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("attack", attacks(""))
@pytest.mark.parametrize("place", ["root", "value", "key"])
def test_no_code_runs(read, tmp_path, protocol, attack, place):
    sentinel = tmp_path / "sentinel"
    pickled = pickle.dumps(attacks(sentinel)[attack], protocol)[:-1]
    body = {"root": pickled, "value": mapping(w=tensor(), x=pickled), "key": b"}(" + pickled + tensor() + b"u"}[place]
    with pytest.raises(CheckpointError, match=r"net\.pth: expected (a tensor|a state dict|tensors).*, found"):
        read(body)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch.storage", "_load_from_bytes"),
        ("torch", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("builtins", "getattr"),
        ("collections", "OrderedDict.__class__"),
        ("collections", "defaultdict"),
        ("common.checkpoint", "save"),
        ("torch", "FloatStorage.__init__"),
    ],
)
def test_other_globals_are_named_and_refused(read, module, name):
    stacked = text(module) + text(name) + b"\x93"
    for reference in (name_of(module, name), stacked):
        with pytest.raises(CheckpointError, match=rf"{module}\.{name}, of which nothing was run"):
            read(mapping(w=call(reference, integer(1))))


@pytest.mark.parametrize(
    "body",
    [
        b"(" + text("true") + b"ios\nsystem\n",
        b"(" + name_of("collections", "OrderedDict") + b"o",
        name_of("collections", "OrderedDict") + b")\x81",
        name_of("collections", "OrderedDict") + b")}\x92",
        b"\x82\x01",
        b"\x95" + struct.pack("<Q", 5) + b"\x97",
        b"\x8f",
    ],
    ids=["INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "NEXT_BUFFER", "EMPTY_SET"],
)
def test_opcodes_beyond_plain_data(read, body):
    with pytest.raises(CheckpointError, match=r"opcode.*nothing was run|expected a state dict, found"):
        read(body)


@pytest.mark.parametrize(
    "target",
    [tensor(), storage(), name_of("torch", "FloatStorage"), name_of("torch", "Size"), text("x"), integer(1)],
    ids=["tensor", "storage", "type", "function", "text", "integer"],
)
def test_nothing_but_the_stand_ins_is_called_or_given_a_state(read, target):
    for body in (target + b")R", target + mapping(call=text("x")) + b"b"):
        with pytest.raises(CheckpointError, match=r"in the pickle|missing"):
            read(mapping(w=body))


def test_attributes_of_a_state_dict_are_dropped(read):
    body = name_of("collections", "OrderedDict") + b")R(" + text("w") + tensor() + b"u"
    state = read(body + mapping(_metadata=mapping(), __class__=integer(1), items=integer(2)) + b"b")
    assert list(state) == ["w"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"h\5",
        b"j\5\0\0\0",
        b"q\0",
        b"\x94",
        b"t",
        b"R",
        b"b",
        b"s",
        b"u",
        b"}(" + text("a") + b"u",
        b"](" + integer(1) + b"u",
        b"}(" + integer(1) + b"e",
        b"\x85",
        b"\x93",
        integer(1) + integer(2) + b"\x93",
        b"X\xff\xff\xff\xffab",
        b"X\x02\0\0\0\xff\xfe",
        b"\x8b\xff\xff\xff\x7f",
        b"\xff",
        b"cno newline",
        b"}(}" + integer(1) + b"u",
    ],
)
def test_broken_pickles(read, body):
    with pytest.raises(CheckpointError, match=r"net\.pth: "):
        read(body)


DEPTH = 60_000
NESTED = b")" + b"\x85" * DEPTH


@pytest.mark.parametrize("body", [NESTED, b"}(" + NESTED + integer(1) + b"u", b"](" * DEPTH + b"e" * DEPTH])
def test_deep_nesting(tmp_path, body):
    path = tmp_path / "net.pth"
    path.write_bytes(zip_file(body, {}))
    with pytest.raises(CheckpointError, match=r"net\.pth: "):
        read_state_file(path)


@pytest.mark.parametrize("key", [b")", b"]", b"}", name_of("torch", "FloatStorage")])
def test_keys_are_plain(read, key):
    """Hashing a tuple recurses in C: nested deeply enough it would crash the process."""
    pairs = name_of("collections", "OrderedDict") + b"](](" + key + integer(1) + b"ee\x85R"
    with pytest.raises(CheckpointError, match="expected plain dictionary keys"):
        read(mapping(w=pairs))
    for body in (b"}(" + key + integer(1) + b"u", b"}" + key + integer(1) + b"s"):
        assert list(read(mapping(state=mapping(w=tensor()), other=body))) == ["w"]


def test_a_container_that_holds_itself(read):
    itself = b"}q\0(" + text("state_dict") + b"h\0u"
    with pytest.raises(CheckpointError, match=r"expected a state dict, .*found state_dict .dict"):
        read(itself)
