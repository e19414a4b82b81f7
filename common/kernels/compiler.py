"""The C++ compiler: which one, what it is asked for, and what decides the machine code that it makes."""

import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError

SOURCES = Path(__file__).parent
# Maximum and minimum become single instructions only if NaN and -0 need no care; sums are never reordered.
_OPTIMISED = "-O3"  # the first of all flags
FLAGS = (
    _OPTIMISED,
    "-std=c++17",
    "-fPIC",
    "-shared",
    "-pthread",
    "-ffinite-math-only",
    "-fno-signed-zeros",
    "-Wno-psabi",
)
NATIVE = ("-march=native",)
# Words of failures that may be gone the next time: they are not remembered.
_PASSING = ("No space left", "memory", "Killed", "Disk quota", "Input/output")


class BuildError(UserError):
    """The kernels cannot be compiled or loaded here; the message is the reason in one line."""


class CompilationError(BuildError):
    """The compiler does not take sources or flags.

    Attributes:
        passing: whether the reason may be gone the next time.
    """

    passing = False


@dataclass(frozen=True)
class Recipe:
    """How a library is made.

    Attributes:
        key: name of it, for all that decides its machine code.
        make: compiles it into a file; raises CompilationError where the compiler fails.
    """

    key: str
    make: Callable[[Path], None]


def compiler() -> list[str] | None:
    """The compiler's words: ``$CXX`` as a shell splits it, else g++, clang++ or c++; None where there is none.

    Raises:
        BuildError: ``$CXX`` has a quotation mark that is not closed.
    """
    wanted = os.environ.get("CXX", "").strip()
    if wanted and (path := shutil.which(wanted)):  # perhaps with blanks in it
        return [path]
    try:
        candidates = [shlex.split(wanted)] if wanted else [["g++"], ["clang++"], ["c++"]]
    except ValueError as error:
        raise BuildError(f"CXX={wanted}: expected words as a shell takes them, found {error}; mend it") from None
    return next(([path, *words[1:]] for words in candidates if (path := shutil.which(words[0]))), None)


def command(extra_flags: tuple[str, ...], flags: tuple[str, ...] = FLAGS) -> list[str]:
    """Compiler and flags, without sources and target.

    Raises:
        BuildError: no compiler.
    """
    words = compiler()
    if words is None:
        wanted = f"CXX={os.environ['CXX']} is no program" if os.environ.get("CXX") else "no C++ compiler found"
        raise BuildError(f"{wanted}; install g++, or set CXX to the path of a compiler")
    return [*words, *flags, *extra_flags]


def recipe(extra_flags: tuple[str, ...]) -> Recipe:
    """The library of the kernels, compiled with ``extra_flags``.

    Raises:
        BuildError: no compiler, or one that cannot be run.
    """
    words = command(extra_flags)
    return Recipe(key(words), functools.partial(compile_to, words))


@functools.cache
def processor_features() -> str:
    """The processor's feature flags as the system lists them; its name where the system does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def sources(folder: Path) -> list[Path]:
    """The C++ files of a folder."""
    return sorted(folder.glob("*.cc")) + sorted(folder.glob("*.h"))


def key(words: list[str], files: Iterable[Path] | None = None) -> str:
    """24 digits for all that decides the machine code: sources, compiler, flags, processor.

    Args:
        words: of :func:`command`.
        files: sources; None: those of the kernels.

    Raises:
        BuildError: the compiler cannot be run.
    """
    asked = [*words[: words.index(_OPTIMISED)], "--version"]
    version = _run(asked).stdout
    digest = hashlib.sha256("\0".join([*words, version, platform.machine(), processor_features()]).encode())
    for source in sources(SOURCES) if files is None else files:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:24]


def compile_to(words: list[str], target: Path, files: Iterable[Path] | None = None) -> None:
    """Compile sources into what ``words`` ask for, a library as they come from :func:`command`.

    Args:
        words: compiler and flags.
        target: file to write.
        files: sources or objects; None: the sources of the kernels.

    Raises:
        BuildError: the compiler cannot be run.
        CompilationError: it fails; the message is its reason.
    """
    files = sorted(SOURCES.glob("*.cc")) if files is None else files
    done = _run([*words, *map(str, files), "-o", str(target)])
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
        failure = CompilationError(f"{Path(words[0]).name} failed: {reason}")
        failure.passing = done.returncode < 0 or any(word in done.stderr for word in _PASSING)
        raise failure


def _run(words: list[str]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    except (OSError, ValueError) as error:
        raise BuildError(f"{words[0]} cannot be run ({getattr(error, 'strerror', None) or error})") from None
