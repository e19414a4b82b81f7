"""Compilation and cache of the kernels, mostly with stand-ins for the compiler."""

import ctypes
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_compilers import FAKE, file_names

from common.kernels import build as installed
from common.kernels import compiler

# The real compiler, which starts when two processes have called it (or after 10 s).
REAL = f"""#!/bin/sh
if [ "$1" != --version ]; then
  echo "$@" >>"$LOG"
  for i in $(seq 100); do [ $(wc -l <"$LOG") -ge 2 ] || sleep 0.1; done
fi
exec {shlex.join(compiler.compiler() or ["c++"])} "$@"
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
    assert file_names(cache) == [first.with_suffix(".sha256").name, first.name]
    for source in ("adder_float.cc", "conv.cc", "adder_int8.cc", "-O0", *compiler.FLAGS):
        assert source in calls()[0]


def test_what_decides_the_code_decides_the_file(fresh, cache, use_compiler, tmp_path, monkeypatch):
    use_compiler(FAKE)
    paths = [fresh.build(("-O0",)), fresh.build(("-O1",)), fresh.build(())]
    monkeypatch.setenv("FAKE_VERSION", "2")
    paths.append(fresh.build(()))
    monkeypatch.setattr(compiler, "processor_features", lambda: "flags: fpu avx1024")
    paths.append(fresh.build(()))
    monkeypatch.setattr(compiler, "SOURCES", tmp_path)
    for text in ("int a;", "int b;"):
        (tmp_path / "one.cc").write_text(text)
        paths.append(fresh.build(()))
    (tmp_path / "one.h").write_text("// a header")
    paths.append(fresh.build(()))
    assert len(set(paths)) == len(paths) and len(file_names(cache)) == 2 * len(paths)


def test_choice_of_the_compiler(monkeypatch, tmp_path):
    for name in ("clang++", "c++", "mine", "ccache", "with blanks"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert compiler.compiler() == [str(tmp_path / "clang++")]
    for value, words in {
        "mine": ["mine"],
        "": ["clang++"],
        " ": ["clang++"],
        "ccache mine": ["ccache", "mine"],
        " mine  -m64 ": ["mine", "-m64"],
        "mine '-DX=a b'": ["mine", "-DX=a b"],
        str(tmp_path / "with blanks"): ["with blanks"],
    }.items():
        monkeypatch.setenv("CXX", value)
        assert compiler.compiler() == [str(tmp_path / words[0]), *words[1:]], value
    monkeypatch.setenv("CXX", "nonexistent")
    assert compiler.compiler() is None
    monkeypatch.setenv("CXX", "mine 'open")
    with pytest.raises(compiler.BuildError, match=r"CXX=mine 'open.*No closing quotation"):
        compiler.compiler()


def test_a_compiler_of_several_words_compiles(fresh, cache, use_compiler, monkeypatch, tmp_path):
    calls = use_compiler(FAKE)
    monkeypatch.setenv("CXX", f"{tmp_path / 'compiler'} -m64")
    fresh.build(("-O0",))
    assert calls()[-1].startswith("-m64 -O3 ")


@pytest.mark.slow
@pytest.mark.skipif(compiler.compiler() is None, reason="needs a C++ compiler")
def test_two_processes_at_once(cache, use_compiler):
    calls = use_compiler(REAL)
    command = [sys.executable, "-c", CONCURRENT]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert len(calls()) == 2, "they did not compile at the same time"
    assert results[0][0] == results[1][0]
    path = Path(results[0][0].strip())
    assert file_names(cache) == [path.with_suffix(".sha256").name, path.name]


@pytest.mark.skipif(compiler.compiler() is None, reason="needs a C++ compiler")
def test_library_exports_what_the_operators_call(library):
    handle = ctypes.CDLL(str(library))
    for function in ("AdderForward", "AdderGradInput", "AdderGradWeight", "AdderInt8", "SetThreads", "SadName"):
        assert getattr(handle, function)
