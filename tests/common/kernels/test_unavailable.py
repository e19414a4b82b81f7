"""Kernels that cannot be had or are switched off: one warning at most, and the right numbers all the same."""

import os
import subprocess
import sys
from pathlib import Path

import adder_oracle as oracle
import numpy as np
import pytest
from stand_in_compilers import FAILING, FAKE, SILENT, file_names

ROOT = Path(__file__).resolve().parents[3]

NUMBERS = """
import numpy as np
from mindspore import Tensor
from common.runtime import context
context.setup(mode="pynative")
from common.kernels import AdderConv2d, AdderInt8, build, native_available
case = np.load("case.npz")
conv = AdderConv2d(2, 1)
int8 = AdderInt8(2, 1)
y = conv(Tensor(case["x"]), Tensor(case["w"])).asnumpy()
sums = int8(*[Tensor(case[name]) for name in ("x", "codes", "group", "steps", "qmax", "affine")]).asnumpy()
np.savez("numbers.npz", y=y, sums=sums, native=[conv.native, int8.native, native_available()])
build.set_threads(1)
assert build.sad_instructions() == "fallback"
"""


def warnings(capsys):
    """Lines on stderr; nothing may go to stdout."""
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err.splitlines()


def check_fallback(fresh, capsys, *parts):
    """One warning line, however often it is asked, and no library."""
    assert not fresh.native_available() and not fresh.native_available()
    assert fresh.library() is None and fresh.sad_instructions() == "fallback"
    fresh.set_threads(2)
    lines = warnings(capsys)
    assert len(lines) == 1 and lines[0].startswith("warning: native kernels unavailable")
    assert all(part in lines[0] for part in parts), lines


def test_no_compiler(fresh, cache, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    check_fallback(fresh, capsys, "no C++ compiler found", "CXX")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("script", "reason"), [(FAILING, "x.cc:1:1: error: unknown instruction"), (SILENT, "status 3"), (FAKE, "")]
)
def test_compiler_that_fails(fresh, cache, use_compiler, capsys, script, reason):
    use_compiler(script)
    check_fallback(fresh, capsys, reason)
    assert not [name for name in file_names(cache) if name.startswith(".")]
    if script != FAKE:
        assert [name.partition(".")[2] for name in file_names(cache)] == ["failed"] * 2
        with pytest.raises(fresh.BuildError, match=f"{reason} .tried before"):
            fresh.build()


def test_compiler_that_cannot_be_run(fresh, cache, use_compiler, capsys):
    use_compiler("\0 no program")
    check_fallback(fresh, capsys)


@pytest.mark.parametrize("value", ["off", "OFF"])
def test_switched_off_is_silent(fresh, cache, use_compiler, monkeypatch, capsys, value):
    calls = use_compiler(FAKE)
    monkeypatch.setenv("LOWBITZOO_KERNELS", value)
    assert fresh.library() is None and fresh.sad_instructions() == "fallback"
    assert not warnings(capsys) and not calls() and not cache.exists()


def numbers_case():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(1, 2, (2, 3, 7, 6)).astype(np.float32),
        "w": rng.normal(0, 2, (4, 3, 3, 3)).astype(np.float32),
        "codes": rng.integers(0, 16, (4, 3, 3, 3)).astype(np.uint8),
        "group": np.array([1, 0, 1, 1], np.uint8),
        "steps": np.array([0.25, 0.3], np.float32),
        "qmax": np.array([15], np.float32),
        "affine": np.stack((np.ones(4), np.zeros(4), np.zeros(4))).astype(np.float32),
    }


def test_numbers_without_the_kernels(tmp_path):
    """Processes without compiler, and with the kernels switched off: right numbers, one warning and none."""
    case, processes = numbers_case(), []
    settings = [{"CXX": "nonexistent"}, {"LOWBITZOO_KERNELS": "off"}]
    for index, change in enumerate(settings):
        folder = tmp_path / str(index)
        folder.mkdir()
        np.savez(folder / "case.npz", **case)
        kept = {key: value for key, value in os.environ.items() if key not in ("CXX", "LOWBITZOO_KERNELS")}
        environment = {**kept, "PYTHONPATH": str(ROOT), "LOWBITZOO_CACHE": str(folder / "cache"), **change}
        command = [sys.executable, "-c", NUMBERS]
        processes.append(subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True))
    for index, process in enumerate(processes):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        lines = [line for line in errors.splitlines() if "kernels unavailable" in line]
        assert len(lines) == (1 if index == 0 else 0), errors
        numbers = np.load(tmp_path / str(index) / "numbers.npz")
        assert not numbers["native"].any()
        assert numbers["y"] == pytest.approx(oracle.forward(case["x"], case["w"], 2, 1), rel=1e-5)
        sums = oracle.integer_sums(case["x"], case["codes"], case["group"], case["steps"], 15, 2, 1)
        assert np.array_equal(numbers["sums"], sums)
