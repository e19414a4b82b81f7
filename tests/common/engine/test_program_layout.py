"""The layout of a program in Python is that of ``program.h``."""

import re
from pathlib import Path

import pytest
from random_networks import random_network

from common.engine import layout
from common.engine.compiler import compile_network

HEADER = (Path(layout.__file__).parent / "program.h").read_text()


def fields_of(struct):
    body = re.search(rf"struct {struct} {{\n(.*?)\n}};", HEADER, re.DOTALL)[1]
    declared = re.sub(r"//[^\n]*", "", body).replace("int32_t", "").replace("\n", " ")
    return tuple(name.strip() for name in re.split(r"[,;]", declared) if name.strip())


@pytest.mark.parametrize("struct", ["Header", "Buffer", "Instruction"])
def test_fields_have_the_order_of_the_structure(struct):
    assert fields_of(struct) == getattr(layout, struct.upper())


def test_numbers_are_those_of_the_header():
    operations = re.search(r"enum Operation : int32_t {(.*?)}", HEADER, re.DOTALL)[1].split(",")
    assert [getattr(layout, name.strip()) for name in operations] == list(range(len(operations)))
    for name, value in (("kMagic", layout.MAGIC), ("kVersion", layout.VERSION), ("kGroup", layout.GROUP)):
        assert int(re.search(rf"{name} = (\w+);", HEADER)[1], 0) == value


def test_programs_are_flat_arrays_of_fixed_types():
    program = compile_network(random_network(1))
    assert [array.dtype for array in (program.words, program.weights, program.constants)] == [
        "int32",
        "int8",
        "float32",
    ]
    assert program.weights.ctypes.data % 64 == 0 and program.header["magic"] == layout.MAGIC
    assert len(program.names) == len(program.buffers)
