"""The wheel, installed with its extra into a fresh environment, works in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository_copy import tracked_copy

from common import zoo
from lowbitzoo import methods

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]  # installed once
# One checkpoint of each method that ships, on the digits: the quantized one if there is one.
DIGITS = [entry for entry in zoo.entries().values() if entry.shipped and entry.dataset == "digits"]
SHIPPED = {entry.method: entry.name for entry in sorted(DIGITS, key=lambda entry: "float" not in entry.bits)}
# Nothing of the repository is seen by another Python.
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of an environment that holds the wheel and its extra alone."""
    root = tmp_path_factory.mktemp("wheel")
    # A copy: setuptools leaves a folder behind, whose files go into the next wheel.
    copy = tracked_copy(root / "copy")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", root, copy], check=True, env=OUTSIDE)
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True, env=OUTSIDE)
    python = root / "venv" / "bin" / "python"
    (wheel,) = root.glob("lowbitzoo-*.whl")
    subprocess.run([python, *pip[1:], "install", f"{wheel}[mindspore]"], check=True, env=OUTSIDE)
    return python


@pytest.fixture
def run(python, tmp_path):
    """What the environment's Python prints in an empty folder, its operators compiled there."""
    environment = OUTSIDE | {"LOWBITZOO_CACHE": str(python.parents[2] / "cache")}

    def lines(*words):
        done = subprocess.run([python, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip().splitlines()

    return lines


def test_every_file_is_installed(run):
    assert [line.split()[0] for line in run("-m", "lowbitzoo", "list")[2:]] == list(zoo.entries())
    right = [f"{name}: right" for name, entry in zoo.entries().items() if entry.shipped]
    assert set(right) <= set(run("-m", "lowbitzoo", "verify"))


def test_no_test_and_no_script_is_installed(run):
    code = "import importlib.metadata as m; print(*m.distribution('lowbitzoo').read_text('top_level.txt').split())"
    assert set(run("-c", code)[0].split()) == {"common", "lowbitzoo", *methods.METHODS}


def test_the_import_takes_well_under_a_second(run):
    code = "import time; start = time.perf_counter(); import lowbitzoo; print(time.perf_counter() - start)"
    assert float(run("-c", code)[0]) < 0.5


@pytest.mark.parametrize("name", SHIPPED.values())
def test_a_shipped_checkpoint_of_each_method_is_evaluated(run, name):
    expected = zoo.find(name).expected
    (result,) = [line for line in run("-m", "lowbitzoo", "eval", name) if line.startswith("result: ")]
    assert f"'acc': {expected['accuracy']:.4f}" in result and f"'samples': {expected['samples']}" in result


def test_all_methods_are_evaluated():
    assert SHIPPED.keys() == methods.METHODS.keys()
