"""The wheel, installed with its extra into a fresh environment, works in an empty folder; without it, its runtime."""

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from repository_copy import tracked_copy

from common import zoo
from common.data.preprocessing import Preprocessing
from common.engine.about import About
from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.runtime_file import encode
from lowbitzoo import methods, runtime

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]  # installed once
# One checkpoint of each method that ships, on the digits: the quantized one if there is one.
DIGITS = [entry for entry in zoo.entries().values() if entry.shipped and entry.dataset == "digits"]
SHIPPED = {entry.method: entry.name for entry in sorted(DIGITS, key=lambda entry: "float" not in entry.bits)}
# Nothing of the repository is seen by another Python.
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


PIP = ("-m", "pip", "--disable-pip-version-check", "-q")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, made as a user's pip makes it."""
    root = tmp_path_factory.mktemp("wheel")
    # A copy: setuptools leaves a folder behind, whose files go into the next wheel.
    copy = tracked_copy(root / "copy")
    subprocess.run([sys.executable, *PIP, "wheel", "--no-deps", "-w", root, copy], check=True, env=OUTSIDE)
    (wheel,) = root.glob("lowbitzoo-*.whl")
    return wheel


def environment_with(folder: Path, what: str) -> Path:
    """The Python of an environment that holds a wheel alone, with or without its extra."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=OUTSIDE)
    python = folder / "bin" / "python"
    subprocess.run([python, *PIP, "install", what], check=True, env=OUTSIDE)
    return python


@pytest.fixture(scope="module")
def python(wheel) -> Path:
    """The Python of an environment that holds the wheel and its extra alone."""
    return environment_with(wheel.parent / "venv", f"{wheel}[mindspore]")


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


@pytest.fixture(scope="module")
def bare(wheel) -> Path:
    """The Python of an environment without MindSpore."""
    return environment_with(wheel.parent / "bare", str(wheel))


@pytest.fixture
def run_bare(bare, tmp_path):
    """What it prints where there is no compiler either, and no cache."""
    places = {"PATH": str(tmp_path), "CXX": "/no/compiler", "LOWBITZOO_CACHE": str(tmp_path / "cache")}

    def lines(*words):
        done = subprocess.run([bare, *words], cwd=tmp_path, env=OUTSIDE | places, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return lines


def test_the_wheel_is_of_this_platform_and_any_python(wheel):
    assert "-py3-none-" in wheel.name and wheel.name.endswith(f"{platform.machine()}.whl")


def test_the_library_needs_nothing_but_the_c_library(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("common/engine/liblowbit.so", tmp_path)
    listed = subprocess.run(["ldd", tmp_path / "common/engine/liblowbit.so"], capture_output=True, text=True).stdout
    names = {line.split()[0].rpartition("/")[2].partition(".")[0] for line in listed.splitlines()}
    assert names <= {"linux-vdso", "libc", "libm", "libpthread", "libgcc_s", "ld-linux-x86-64"}


def test_pictures_are_classified_without_mindspore_and_compiler(run_bare, tmp_path, runtime_file):
    Image.new("RGB", (32, 32), (200, 10, 30)).save(tmp_path / "a.png")
    status, lines, errors = run_bare("-m", "lowbitzoo", "predict", runtime_file, "a.png")
    assert (status, errors) == (0, []) and len(lines) == 7
    (best,) = runtime.load(runtime_file).top([tmp_path / "a.png"])
    assert lines[2:] == [f"{100 * share:8.2f} %  {name}" for name, share in best]
    assert run_bare("-c", "import mindspore")[0] == 1
    status, lines, errors = run_bare("-m", "lowbitzoo", "predict", runtime_file, "missing.png")
    assert status == 2 and len(errors) == 1


def test_c_programs_get_library_and_header(run_bare, tmp_path):
    assert run_bare("-m", "lowbitzoo.library", tmp_path)[0] == 0
    assert (tmp_path / "liblowbit.so").stat().st_size > 10**5 and "lowbit_open" in (tmp_path / "lowbit.h").read_text()


@pytest.fixture(scope="module")
def runtime_file(tmp_path_factory) -> Path:
    """A network of one layer, written by this project."""
    builder = Builder((3, 32, 32))
    weight = np.random.default_rng(0).normal(0, 0.1, (10, 3, 32, 32)).astype(np.float32)
    program = compile_network(builder.finish(builder.float_conv(builder.image, weight)), plain=True)
    path = tmp_path_factory.mktemp("file") / "net.lowbit"
    path.write_bytes(encode(program, About("one layer", "none", "digits", Preprocessing())))
    return path
