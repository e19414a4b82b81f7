"""The engine's C++ library: an object file for each instruction set, each with flags of its own, linked into one."""

import contextlib
import ctypes
import functools
import os
import platform
import tempfile
from pathlib import Path

from common.errors import ConfigError
from common.kernels import build
from common.kernels import compiler as cxx
from common.kernels.compiler import BuildError

SOURCES = Path(__file__).parent
SHIPPED = SOURCES.resolve() / "liblowbit.so"  # in a wheel, see setup.py
# No fused multiply-add: results are the same on every processor.
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-pthread", "-ffp-contract=off", "-Wno-psabi")
_VNNI = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mprefer-vector-width=512")
_FILES = ("validate_program.cc", "validate_tail.cc", "validate_instruction.cc", "fast_form.cc")
_UNITS: dict[str, tuple[str, ...]] = dict.fromkeys(("engine.cc", "plain.cc", "runtime.cc", *_FILES), ())
_X86_UNITS: dict[str, tuple[str, ...]] = {"avx2.cc": ("-mavx2",), "vnni.cc": _VNNI}
_ARM_UNITS: dict[str, tuple[str, ...]] = {"neon.cc": (), "neon_dot.cc": ("-march=armv8.2-a+i8mm",)}
_PARALLEL = tuple(SOURCES.parent / "kernels" / name for name in ("parallel.h", "helper_threads.h"))


def units_of(machine: str) -> dict[str, tuple[str, ...]]:
    """Sources of a kind of processor, each with its own flags."""
    kinds = {"x86_64": _X86_UNITS, "amd64": _X86_UNITS, "aarch64": _ARM_UNITS, "arm64": _ARM_UNITS}
    return _UNITS | kinds.get(machine.lower(), {})


def recipe(extra_flags: tuple[str, ...] = (), program: Path | None = None) -> cxx.Recipe:
    """How the library is compiled.

    Args:
        extra_flags: of every file and of the linker.
        program: source of a program that the engine is linked into, in the place of a library.

    Raises:
        BuildError: no compiler, or one that cannot be run.
    """
    units = units_of(platform.machine())
    words = cxx.command(extra_flags, FLAGS)
    key = cxx.key([*words, *map(str, units.items())], [*cxx.sources(SOURCES), *_PARALLEL])

    def make(target: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            objects = [Path(folder) / f"{name}.o" for name in units]
            for (name, flags), file in zip(units.items(), objects):
                cxx.compile_to([*words, *flags, "-c"], file, [SOURCES / name])
            kind = ["-shared"] if program is None else ["-xc++", str(program), "-xnone"]
            cxx.compile_to([*words, *kind], target, objects)

    return cxx.Recipe(key, make)


def wheel_recipe() -> cxx.Recipe:
    """How :data:`SHIPPED` is compiled: with C++'s run time inside, for all processors of this kind.

    Raises:
        BuildError: as :func:`recipe`.
    """
    return recipe(("-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-s"))


@functools.cache
def library_file() -> tuple[Path, ctypes.CDLL] | None:
    """Path and handle of the library; None, with one warning line, where it cannot be had.

    ``LOWBITZOO_KERNELS=off`` asks for the interpreter and is not warned about.
    """
    if os.environ.get("LOWBITZOO_KERNELS", "").lower() == "off":
        return None
    try:
        path, handle = _shipped() or build.loaded_from_any(recipe())
        return path, declare(handle)
    except (BuildError, ConfigError) as error:
        build.warn(f"the integer engine's kernels are unavailable, using its interpreter, which is slow: {error}")
        return None


def _shipped() -> tuple[Path, ctypes.CDLL] | None:
    """The library of the wheel; None where there is none, or none that loads here."""
    with contextlib.suppress(OSError):
        return SHIPPED, ctypes.CDLL(str(SHIPPED))
    return None


def library() -> ctypes.CDLL | None:
    """The library alone, as :func:`library_file`."""
    loaded = library_file()
    return loaded[1] if loaded else None


def declare(handle: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions."""
    handle.RunProgram.argtypes = [*[ctypes.c_void_p] * 4, ctypes.c_int64, *[ctypes.c_void_p] * 3]
    handle.RunProgram.restype = ctypes.c_int
    handle.InstructionSetName.restype = ctypes.c_char_p
    handle.InstructionSetName.argtypes = [ctypes.c_int]
    return handle


def instruction_sets(handle: ctypes.CDLL) -> tuple[str, ...]:
    """Those that this processor has, the fastest first."""
    names, count = [], 0
    while name := handle.InstructionSetName(count):
        names.append(name.decode())
        count += 1
    return tuple(names)
