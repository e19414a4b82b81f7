"""Compiles the C++ operators at first use and caches the library.

The cache key covers everything that decides the machine code: sources, compiler, flags and the processor's own
feature flags, so a home folder shared by different machines is safe. A library is written under a temporary name and
renamed, so processes that start together never see half of one.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common.errors import UserError
from common.files.cache import user_cache

SOURCES = Path(__file__).parent
# Maximum and minimum become single instructions only if NaN and -0 need no care; sums are never reordered.
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-pthread", "-ffinite-math-only", "-fno-signed-zeros", "-Wno-psabi")


class BuildError(UserError):
    """The kernels cannot be compiled or loaded here; the message is the reason in one line."""


def compiler() -> str | None:
    """Path of the C++ compiler: ``$CXX``, else g++, clang++ or c++; None where there is none."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    return next(filter(None, map(shutil.which, candidates)), None)


def cache_folder() -> Path:
    """``$LOWBITZOO_CACHE/kernels``, else ``lowbitzoo/kernels`` in the user's cache folder."""
    return user_cache("kernels")


@functools.cache
def processor_features() -> str:
    """The processor's feature flags as the system lists them; its name where the system does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _key(command: list[str], sources: list[Path]) -> str:
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=False).stdout
    digest = hashlib.sha256("\0".join([*command, version, platform.machine(), processor_features()]).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:24]


def build(extra_flags: tuple[str, ...] = ("-march=native",)) -> Path:
    """Return the library compiled with ``extra_flags``, from the cache where it is there already.

    Raises:
        BuildError: no compiler, a failed compilation, or a cache folder that cannot be written.
    """
    program = compiler()
    if program is None:
        wanted = f"CXX={os.environ['CXX']} is no program" if os.environ.get("CXX") else "no C++ compiler found"
        raise BuildError(f"{wanted}; install g++, or set CXX to the path of a compiler")
    sources = sorted(SOURCES.glob("*.cc"))
    command = [program, *FLAGS, *extra_flags]
    target = cache_folder() / f"{_key(command, sources + sorted(SOURCES.glob('*.h')))}.so"
    if not target.exists():
        _compile([*command, *map(str, sources)], target)
    return target


def _compile(command: list[str], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    except OSError as error:
        raise BuildError(f"the kernel cache {target.parent} cannot be written ({error.strerror})") from error
    os.close(handle)
    try:
        done = subprocess.run([*command, "-o", temporary], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
            raise BuildError(f"{command[0]} failed: {reason}")
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _loaded() -> tuple[Path, ctypes.CDLL]:
    path = build()
    try:
        return path, ctypes.CDLL(str(path))
    except OSError:  # a damaged file in the cache: once more from the sources
        path.unlink(missing_ok=True)
        return build(), ctypes.CDLL(str(path))


@functools.cache
def library() -> tuple[Path, ctypes.CDLL] | None:
    """Path and handle of the native kernels; None, with one warning line, where they cannot be had.

    ``LOWBITZOO_KERNELS=off`` asks for the fallback and is not warned about.
    """
    if os.environ.get("LOWBITZOO_KERNELS", "").lower() == "off":
        return None
    try:
        return _loaded()
    except (BuildError, OSError) as error:
        print(f"warning: native kernels unavailable, using the slower MindSpore fallback: {error}", file=sys.stderr)
        return None


def native_available() -> bool:
    """Whether the C++ operators can be used by this process (the device is asked for separately)."""
    return library() is not None


def set_threads(count: int) -> None:
    """Let the kernels use at most ``count`` threads (0: as many as the machine has)."""
    loaded = library()
    if loaded:
        loaded[1].SetThreads(ctypes.c_int(count))


def sad_instructions() -> str:
    """Which form of the sum of absolute differences runs: ``avx512``, ``avx2``, ``plain`` or ``fallback``."""
    loaded = library()
    if loaded is None:
        return "fallback"
    loaded[1].SadName.restype = ctypes.c_char_p
    return loaded[1].SadName().decode()
