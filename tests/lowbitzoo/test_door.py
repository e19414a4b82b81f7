"""Names, lazy imports, and what is said where a neighbour is missing or a stranger."""

import os
import subprocess
import sys

import pytest

import lowbitzoo
from common import zoo
from common.zoo.registry import ROOT
from lowbitzoo import methods, neighbour

# MindSpore cannot be imported, as where it is not installed.
WITHOUT_MINDSPORE = "import sys, importlib.util as u; f = u.find_spec; sys.modules['mindspore'] = None; " + (
    "u.find_spec = lambda name, *rest: None if name == 'mindspore' else f(name, *rest); "
)


def python(*words, cwd=None, path=ROOT):
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | {"PYTHONPATH": str(path)}, capture_output=True, text=True
    )


def test_every_verb_is_there_and_no_other():
    assert all(callable(getattr(lowbitzoo, name)) for name in lowbitzoo.__all__)
    with pytest.raises(AttributeError, match="quantize"):
        getattr(lowbitzoo, "predictions")  # noqa: B009
    done = python("-c", "import lowbitzoo; print(lowbitzoo.runtime.load.__name__)")
    assert done.stdout.strip() == "load", done.stderr


def test_the_import_brings_neither_mindspore_nor_a_method():
    code = "import sys, lowbitzoo; print(*sorted({'mindspore', 'numpy', 'common', 'DAMBQ'} & set(sys.modules)))"
    assert python("-c", code).stdout.strip() == ""


@pytest.mark.parametrize("words", [["list"], ["show", "resnet20-digits"], ["verify"], ["download", "resnet20-digits"]])
def test_commands_over_files_need_no_mindspore(words, tmp_path):
    code = f"from common.cli import program; program.main({words!r}, None)"
    done = python("-c", WITHOUT_MINDSPORE + code, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_rooms_of_files_and_numbers_need_no_mindspore():
    code = "import common.checkpoint, common.files.atomic_file, common.report, common.stored, lowbitzoo.networks"
    assert python("-c", WITHOUT_MINDSPORE + code).stderr == ""


def test_evaluation_without_mindspore_is_one_line(tmp_path):
    code = (
        "from lowbitzoo.methods import evaluation_of; from common.cli import program; program.main(None, evaluation_of)"
    )
    done = python("-c", WITHOUT_MINDSPORE + code, "eval", "resnet20-digits", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.endswith('pip install "lowbitzoo[mindspore]"\n')


def test_another_package_called_common_is_named(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").write_text("")
    done = python("-m", "lowbitzoo", "list", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert str(tmp_path / "common") in done.stderr and str(neighbour.HOME / "common") in done.stderr
    done = python("-c", "import lowbitzoo; lowbitzoo.load", cwd=tmp_path)
    assert done.stderr.splitlines()[-1].startswith("ImportError: lowbitzoo: expected its package 'common'")


def test_checkpoints_and_models_are_listed():
    assert lowbitzoo.list_checkpoints() == list(zoo.entries())
    assert {zoo.find(name).method for name in lowbitzoo.list_checkpoints("DAMBQ")} == {"DAMBQ"}
    assert set(lowbitzoo.list_models("imagenet")) < set(lowbitzoo.list_models())


def test_the_method_of_a_checkpoint_is_the_one_that_it_records():
    for entry in zoo.entries().values():
        assert methods.method_of(entry.name) == entry.method
        if entry.shipped:
            assert methods.method_of(zoo.locate(entry.name)) == entry.method


def test_every_method_has_its_folder():
    assert {name for name in methods.METHODS if (ROOT / name / "eval.py").is_file()} == set(methods.METHODS)
