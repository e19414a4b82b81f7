"""Compilation and cache of the kernels, mostly with stand-ins for the compiler."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_compilers import FAKE, file_names

from common.kernels import build as installed

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
spec = importlib.util.spec_from_file_location("build", {installed.__file__!r})
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
path = build.build(("-O0",))
ctypes.CDLL(str(path)).SetThreads(2)
print(path)
"""


def test_second_build_reuses_the_file(fresh, cache, use_compiler):
    calls = use_compiler(FAKE)
    first = fresh.build(("-O0",))
    assert first.parent == cache and first.read_text() == "not a library\n"
    assert fresh.build(("-O0",)) == first and len(calls()) == 1
    assert file_names(cache) == [first.name]
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
    assert len(set(paths)) == len(paths) and len(file_names(cache)) == len(paths)


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
    assert file_names(cache) == [Path(results[0][0].strip()).name]


@pytest.mark.skipif(installed.compiler() is None, reason="needs a C++ compiler")
def test_library_exports_what_the_operators_call(library):
    handle = ctypes.CDLL(str(library))
    for function in ("AdderForward", "AdderGradInput", "AdderGradWeight", "AdderInt8", "SetThreads", "SadName"):
        assert getattr(handle, function)
