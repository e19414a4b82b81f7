"""Compilation and cache of the kernels, mostly with stand-ins for the compiler."""

import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import adder_oracle as oracle
import numpy as np
import pytest

from common.kernels import build as installed

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "common" / "kernels" / "build.py"

# Notes its calls and writes something that is not a library.
FAKE = """#!/bin/sh
[ "$1" = --version ] && { echo "fake $FAKE_VERSION"; exit; }
echo "$@" >>"$LOG"
while [ "$1" != -o ]; do shift; done
echo "not a library" >"$2"
"""
FAILING = """#!/bin/sh
[ "$1" = --version ] && { echo broken 1; exit; }
echo "In file included from x.cc:" >&2
echo "x.cc:1:1: error: unknown instruction" >&2
echo "compilation terminated" >&2
exit 1
"""
SILENT = "#!/bin/sh\nexit 3\n"
# The real compiler, which starts when two processes have called it (or after 10 s).
REAL = f"""#!/bin/sh
if [ "$1" != --version ]; then
  echo "$@" >>"$LOG"
  for i in $(seq 100); do [ $(wc -l <"$LOG") -ge 2 ] || sleep 0.1; done
fi
exec {installed.compiler()} "$@"
"""

CONCURRENT = f"""
import ctypes, importlib.util
spec = importlib.util.spec_from_file_location("build", {str(BUILD)!r})
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
path = build.build(("-O0",))
ctypes.CDLL(str(path)).SetThreads(2)
print(path)
"""

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
np.savez("found.npz", y=y, sums=sums, native=[conv.native, int8.native, native_available()])
build.set_threads(1)
assert build.sad_instructions() == "fallback"
"""


@pytest.fixture
def fresh():
    """The module as a new process would have it: nothing remembered."""
    spec = importlib.util.spec_from_file_location("fresh_build", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LOWBITZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LOWBITZOO_KERNELS", raising=False)
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def use_compiler(tmp_path, monkeypatch):
    """Makes a shell script the compiler; returns the calls that it has noted."""

    def use(script: str):
        program = tmp_path / "compiler"
        program.write_text(script)
        program.chmod(0o755)
        log = tmp_path / "log"
        monkeypatch.setenv("CXX", str(program))
        monkeypatch.setenv("LOG", str(log))
        return lambda: log.read_text().splitlines() if log.exists() else []

    return use


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_second_build_reuses_the_file(fresh, cache, use_compiler):
    calls = use_compiler(FAKE)
    first = fresh.build(("-O0",))
    assert first.parent == cache and first.read_text() == "not a library\n"
    assert fresh.build(("-O0",)) == first and len(calls()) == 1
    assert names(cache) == [first.name]
    for source in ("adder_float.cc", "conv.cc", "adder_int8.cc", "-O0", *fresh.FLAGS):
        assert source in calls()[0]


def test_what_decides_the_code_decides_the_file(fresh, cache, use_compiler, tmp_path, monkeypatch):
    use_compiler(FAKE)
    paths = [fresh.build(("-O0",)), fresh.build(("-O1",)), fresh.build(())]
    monkeypatch.setenv("FAKE_VERSION", "2")
    paths.append(fresh.build(()))
    monkeypatch.setattr(fresh, "processor_features", lambda: "flags: fpu avx1024")
    paths.append(fresh.build(()))
    monkeypatch.setattr(fresh, "SOURCES", tmp_path)
    for text in ("int a;", "int b;"):
        (tmp_path / "one.cc").write_text(text)
        paths.append(fresh.build(()))
    (tmp_path / "one.h").write_text("// a header")
    paths.append(fresh.build(()))
    assert len(set(paths)) == len(paths) and len(names(cache)) == len(paths)


def test_folder_of_the_cache(fresh, monkeypatch, tmp_path):
    monkeypatch.delenv("LOWBITZOO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fresh.cache_folder() == tmp_path / "xdg" / "lowbitzoo" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fresh.cache_folder() == tmp_path / "home" / ".cache" / "lowbitzoo" / "kernels"
    monkeypatch.setenv("LOWBITZOO_CACHE", str(tmp_path / "own"))
    assert fresh.cache_folder() == tmp_path / "own" / "kernels"


def test_choice_of_the_compiler(fresh, monkeypatch, tmp_path):
    for name in ("clang++", "c++", "mine"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert fresh.compiler() == str(tmp_path / "clang++")
    monkeypatch.setenv("CXX", "mine")
    assert fresh.compiler() == str(tmp_path / "mine")
    monkeypatch.setenv("CXX", "nonexistent")
    assert fresh.compiler() is None


@pytest.mark.skipif(installed.compiler() is None, reason="needs a C++ compiler")
def test_two_processes_at_once(cache, use_compiler):
    calls = use_compiler(REAL)
    command = [sys.executable, "-c", CONCURRENT]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert len(calls()) == 2, "they did not compile at the same time"
    assert results[0][0] == results[1][0]
    assert names(cache) == [Path(results[0][0].strip()).name]


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
    assert not [name for name in names(cache) if not name.endswith(".so")]
    if script != FAKE:
        assert names(cache) == []
        with pytest.raises(fresh.BuildError, match=reason):
            fresh.build()


def test_compiler_that_cannot_be_run(fresh, cache, use_compiler, capsys):
    use_compiler("\0 no program")
    check_fallback(fresh, capsys)


def test_cache_that_cannot_be_written(fresh, tmp_path, monkeypatch, use_compiler, capsys):
    calls = use_compiler(FAKE)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LOWBITZOO_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("LOWBITZOO_KERNELS", raising=False)
    check_fallback(fresh, capsys, str(tmp_path / "file" / "kernels"), "cannot be written")
    assert not calls() and (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_cache_without_the_right_to_write(fresh, cache, use_compiler, capsys):
    use_compiler(FAKE)
    cache.mkdir(parents=True)
    cache.chmod(0o555)
    check_fallback(fresh, capsys, "Permission denied")
    cache.chmod(0o755)


@pytest.mark.parametrize("value", ["off", "OFF"])
def test_switched_off_is_silent(fresh, cache, use_compiler, monkeypatch, capsys, value):
    calls = use_compiler(FAKE)
    monkeypatch.setenv("LOWBITZOO_KERNELS", value)
    assert fresh.library() is None and fresh.sad_instructions() == "fallback"
    assert not warnings(capsys) and not calls() and not cache.exists()


@pytest.mark.skipif(installed.compiler() is None, reason="needs a C++ compiler")
def test_library_exports_what_the_operators_call(library):
    handle = ctypes.CDLL(str(library))
    for function in ("AdderForward", "AdderGradInput", "AdderGradWeight", "AdderInt8", "SetThreads", "SadName"):
        assert getattr(handle, function)


def numbers_case():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(1, 2, (2, 3, 7, 6)).astype(np.float32),
        "w": rng.normal(0, 2, (4, 3, 3, 3)).astype(np.float32),
        "codes": rng.integers(0, 16, (4, 3, 3, 3)).astype(np.uint8),
        "group": np.array([1, 0, 1, 1], np.uint8),
        "steps": np.array([0.25, 0.3], np.float32),
        "qmax": np.array([15], np.float32),
        "affine": np.stack((np.ones(4), np.zeros(4))).astype(np.float32),
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
        found = np.load(tmp_path / str(index) / "found.npz")
        assert not found["native"].any()
        assert found["y"] == pytest.approx(oracle.forward(case["x"], case["w"], 2, 1), rel=1e-5)
        sums = oracle.integer_sums(case["x"], case["codes"], case["group"], case["steps"], 15, 2, 1)
        assert np.array_equal(found["sums"], sums)
