"""Tensors that lie outside their storage, and files that try to exhaust memory."""

import struct
import tracemalloc

import numpy as np
import pytest
from torch_samples import DATA, call, integer, mapping, name_of, sequence, storage, tensor, text

from common.errors import CheckpointError

HUGE = 2**40


@pytest.mark.parametrize(
    "body",
    [
        tensor((7,), (1,)),
        tensor((6,), (1,), offset=1),
        tensor((2,), (1,), offset=2**62),
        tensor((2, 3), (4, 1)),
        tensor((2, 2), (1, 2**62)),
        tensor((HUGE, HUGE), (0, 0)),
        tensor((7,), (0,)),
        tensor((-1,), (1,)),
        tensor((-2, -3), (1, 1)),
        tensor((2,), (-1,), offset=3),
        tensor((2,), (1,), offset=-1),
        tensor((2, 3), (1,)),
        tensor((1,) * 33, (1,) * 33),
        tensor((0, HUGE, HUGE), (1, 1, 1)),
        tensor((2**70,), (1,)),
        tensor(source=integer(5)),
        tensor(source=storage(size=-6)),
        tensor(source=storage(size=7)),
        tensor(source=storage(size=HUGE)),
        tensor(source=storage(size=5)),
        tensor((1,), (1,), source=storage(kind="DoubleStorage")),
        tensor(source=storage(kind="QInt8Storage")),
        tensor(source=storage(key="1")),
        tensor(source=storage(key="../0")),
        tensor(source=sequence(text("module"), text("0")) + b"Q"),
        tensor(source=integer(1) + b"Q"),
        call(name_of("torch._utils", "_rebuild_tensor_v2"), storage()),
        call(name_of("torch._utils", "_rebuild_parameter"), integer(1), b"\x89", b"}"),
    ],
)
def test_impossible_tensors(read, body):
    with pytest.raises(CheckpointError, match=r"net\.pth: "):
        read(mapping(w=body), {"0": DATA})


def test_one_storage_declared_in_two_ways(read):
    second = tensor((1,), (1,), source=storage(kind="IntStorage"))
    with pytest.raises(CheckpointError, match="twice"):
        read(mapping(a=tensor(), b=second))


MEMO_AT_THE_END = b"r\xff\xff\xff\x7f"
LONG_LIST = b"](" + b"N" * 5000 + b"eq\0"
PAIRS = b"](" + b"".join(b"](" + integer(i) + b"Ne" for i in range(2000)) + b"eq\0"


@pytest.mark.parametrize(
    "body",
    [
        integer(1) + MEMO_AT_THE_END,
        b"\x8e" + struct.pack("<Q", 2**40),
        b"B\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        tensor(source=storage(size=HUGE)),
        LONG_LIST + (name_of("torch", "Size") + b"h\0\x85R") * 1000,
        PAIRS + (name_of("collections", "OrderedDict") + b"h\0\x85R") * 500,
    ],
    ids=["memo", "bytes8", "bytes4", "long4", "storage", "sizes", "dicts"],
)
def test_declared_sizes_cost_no_memory(read, body):
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            read(mapping(w=body))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_many_tensors_of_one_storage_share_its_memory(read):
    size = 50_000
    whole = tensor((size,), (1,), source=storage(size=size))
    body = mapping(**{f"w{i}": whole for i in range(300)})
    tracemalloc.start()
    try:
        state = read(body, {"0": np.ones(size, np.float32).tobytes()})
        assert tracemalloc.get_traced_memory()[1] < 20e6  # copies would take 60e6
    finally:
        tracemalloc.stop()
    assert sum(int(array.sum()) for array in state.values()) == 300 * size
