"""Compiles the C++ operators at first use, caches the library and loads it.

The cache key covers everything that decides the machine code, so a home folder shared by different machines is safe. A
library is written under a temporary name and renamed, so processes that start together never see half of one; its
digest stands beside it, for a truncated library would end the process when it is loaded. Where the user's cache cannot
keep a library that loads, another folder does.
"""

import ctypes
import functools
import os
import sys
from pathlib import Path

from common.errors import ConfigError
from common.files.cache import VARIABLE, cache_folders
from common.kernels import compiler as cxx
from common.kernels.compiler import NATIVE, BuildError, CompilationError
from common.kernels.library_file import LibraryFile, PlaceError


def build(extra_flags: tuple[str, ...] = NATIVE) -> Path:
    """Return the library compiled with ``extra_flags``, from the cache where it is there already.

    Raises:
        BuildError: no compiler, a failed compilation, or no folder that can keep the library.
    """
    recipe, reasons = cxx.recipe(extra_flags), []
    for folder in cache_folders("kernels"):
        file = LibraryFile(folder, recipe.key)
        try:
            _provide(file, recipe)
        except PlaceError as error:
            reasons.append(str(error))
        else:
            return file.path
    raise BuildError("; ".join(reasons))


def _provide(file: LibraryFile, recipe: cxx.Recipe, other: Path | None = None) -> bool:
    """Make sure that a library is there, of another whole one if need be; whether it had to be made."""
    file.check_place()
    if file.is_whole():
        return False
    if other:
        file.copy(other)
    else:
        file.compile(recipe.make)
    return True


def _loaded() -> tuple[Path, ctypes.CDLL]:
    """The library for this processor, else the one for all of its kind.

    Raises:
        BuildError: neither can be had.
    """
    try:
        return loaded_from_any(cxx.recipe(NATIVE))
    except CompilationError as error:
        loaded = loaded_from_any(cxx.recipe(()))
        if "tried before" not in str(error):
            warn(f"{error}; compiled without {' '.join(NATIVE)}, which is slower")
        return loaded


def loaded_from_any(recipe: cxx.Recipe) -> tuple[Path, ctypes.CDLL]:
    """A library from the first folder of the cache that gives one that loads.

    Whatever does not load stays, so that it is not compiled in every run.

    Raises:
        CompilationError: the compiler fails.
        BuildError: no folder gives one.
    """
    reasons, made, whole = [], False, None
    for folder in cache_folders("kernels"):
        file = LibraryFile(folder, recipe.key)
        try:
            made = _provide(file, recipe, whole) or made
            handle = ctypes.CDLL(str(file.path))
        except PlaceError as error:
            reasons.append(str(error))
        except OSError as error:
            whole = file.path
            reasons.append(f"a library cannot be loaded: {error}")
        else:
            if reasons and made:
                warn(f"{'; '.join(reasons)}; the kernels are in {folder}; set {VARIABLE} to choose another folder")
            return file.path, handle
    raise BuildError(f"{'; '.join(reasons)}; set {VARIABLE} to a folder of yours that libraries load from")


def warn(text: str) -> None:
    """Print one line on standard error."""
    print(f"warning: {' '.join(text.split())}", file=sys.stderr)


@functools.cache
def library() -> tuple[Path, ctypes.CDLL] | None:
    """Path and handle of the native kernels; None, with one warning line, where they cannot be had.

    ``LOWBITZOO_KERNELS=off`` asks for the fallback and is not warned about.
    """
    if os.environ.get("LOWBITZOO_KERNELS", "").lower() == "off":
        return None
    try:
        return _loaded()
    except (BuildError, ConfigError) as error:
        warn(f"native kernels unavailable, using the slower MindSpore fallback: {error}")
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
