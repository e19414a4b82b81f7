"""Rooms import downwards, methods import ``common`` and themselves, each special library is known to one room alone."""

import ast
from pathlib import PurePosixPath

import pytest

from scripts.rooms import DOOR, METHODS, ROOMS, ROOT, imports, room_of, sources

COMMAND_LINE = ("argparse", "yaml")
REGISTRY = ("common/zoo/registry.py", "yaml")  # the registry is a YAML file
PROGRAM = "lowbitzoo/__main__.py"  # ends where another package stands in the place of common
# The files of a method that have options, or read what they say.
SCRIPTS = ("eval", "export", "main", "measure", "options", "parsers", "reproduce", "search", "train")
WITHOUT_MINDSPORE = ("checkpoint", "files", "data", "report", "zoo")
MINDSPORE = ("common/checkpoint/network_state.py", "common/data/pipeline.py")


def faults(files: dict[str, str]) -> list[str]:
    """What breaks a rule in files, by path: one line each."""
    return [f"{path}: {fault}" for path, text in files.items() for fault in faults_of(path, ast.parse(text))]


def faults_of(path: str, tree: ast.Module) -> list[str]:
    package, room = PurePosixPath(path).parts[0], room_of(path)
    faults = []
    if PurePosixPath(path).parent.name == "common" and PurePosixPath(path).stem not in ("__init__", "errors"):
        faults.append("stands beside the rooms")
    for statement, name in imports(tree):
        top, target = name.split(".")[0], room_of(name)
        if (top in METHODS and top != package) or top == DOOR != package:
            faults.append(f"imports {name}")
        if target and room and ROOMS.index(target) < ROOMS.index(room):
            faults.append(f"imports {name} upwards")
        if top in COMMAND_LINE and not knows_options(path) and (path, top) != REGISTRY:
            faults.append(f"imports {name}, which belongs to cli")
        if top == "mindspore" and statement in tree.body and room in WITHOUT_MINDSPORE and path not in MINDSPORE:
            faults.append(f"imports {name} at import time")
    exits = sum(isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.exit" for node in ast.walk(tree))
    return faults + ["ends the process"] * (0 if room == "cli" or path == PROGRAM else exits)


def knows_options(path: str) -> bool:
    of_method, stem = PurePosixPath(path).parts[0] in METHODS, PurePosixPath(path).stem
    return room_of(path) == "cli" or (of_method and (stem in SCRIPTS or stem.endswith("_options")))


def test_every_room_is_in_the_table():
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "common").iterdir() if path.name[0] not in "._"}
    assert rooms <= set(ROOMS)


def test_nothing_breaks_a_rule():
    assert not faults(sources())


PLANTED = {
    "a method imports another": ("DAMBQ/quant.py", "from LDNQ.levels import to_codes"),
    "in a function": ("DAMBQ/quant.py", "def f():\n    import LDNQ.levels"),
    "a method imports the door": ("DAMBQ/quant.py", "import lowbitzoo"),
    "a room imports a method": ("common/quant/x.py", "from ProQHA import quant"),
    "the door imports a method": ("lowbitzoo/x.py", "import ProQHA.eval"),
    "upwards": ("common/files/x.py", "from common.report import plain"),
    "upwards by the package": ("common/files/x.py", "def f():\n    from common import report"),
    "upwards to errors from below": ("common/errors.py", "import common.files.cache"),
    "argparse": ("common/quant/x.py", "from argparse import Namespace"),
    "argparse in an algorithm": ("LDNQ/admm.py", "import argparse"),
    "yaml": ("common/zoo/store.py", "import yaml"),
    "exit": ("common/zoo/store.py", "import sys\nsys.exit(2)"),
    "MindSpore in checkpoint": ("common/checkpoint/store.py", "import mindspore"),
    "MindSpore in a reader": ("common/data/cifar10.py", "from mindspore import Tensor"),
    "beside the rooms": ("common/utils.py", ""),
}


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_seen(path, text):
    assert len(faults({path: text})) == 1


def test_what_is_allowed_is_not_seen():
    assert not faults({"common/zoo/registry.py": "import yaml", "common/cli/x.py": "import sys, yaml\nsys.exit(2)"})
    assert not faults(
        {"common/checkpoint/x.py": "def f():\n    import mindspore", "LDNQ/x.py": "import LDNQ, common.cli"}
    )
