"""What the tests of the kernels share."""

import importlib.util
import tempfile
from pathlib import Path

import pytest
from kernel_variants import VARIANTS

from common.kernels import build, compiler


@pytest.fixture
def library():
    """Path of the native library."""
    loaded = build.library()
    if loaded is None:
        pytest.skip("needs a C++ compiler")
    return loaded[0]


@pytest.fixture
def variant(flags):
    """Path of the library compiled with flags of :data:`kernel_variants.VARIANTS`, where this processor can run it."""
    if compiler.compiler() is None:
        pytest.skip("needs a C++ compiler")
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if missing := set(VARIANTS[flags][0]) - set(text.split()):
        pytest.skip(f"the processor lacks what {flags[0]} needs: {', '.join(missing)}")
    return build.build(flags)


@pytest.fixture
def threads():
    """Sets the number of threads of the kernels for one test."""
    yield build.set_threads
    build.set_threads(0)


@pytest.fixture
def fresh():
    """The module of the compilation as a new process would have it: nothing remembered."""
    spec = importlib.util.spec_from_file_location("fresh_build", build.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of kernels of an empty cache; other places are below ``tmp_path`` too."""
    build.library()  # from its usual place
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
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
