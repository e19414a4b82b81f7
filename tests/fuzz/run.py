"""The loop: damages, reads, and judges what the reader does."""

import contextlib
import faulthandler
import io
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError
from tests.fuzz.targets import Target

SECONDS = 10.0
BYTES = 2**30
_KILLED_AFTER = 6 * SECONDS  # what hangs in C cannot be interrupted: the process ends with a traceback


@dataclass
class Outcome:
    """What the mutations of one format led to.

    Attributes:
        counts: of ``refused`` (one line), ``read`` (as intact or as another content).
        faults: a line each: what went wrong and the number of the mutation that repeats it.
    """

    counts: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def limit_memory(most: int) -> None:
    """Let allocations of this process beyond what it has now, and ``most`` bytes, fail."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + most, resource.RLIM_INFINITY))


def fuzz(target: Target, numbers: range, seed: int, folder: Path) -> Outcome:
    """Try mutations of one format.

    Args:
        target: the format.
        numbers: of the mutations; each depends on its number and the seed alone.
        seed: of all random numbers.
        folder: empty; where files are written.
    """
    outcome = Outcome()
    path = folder / target.place
    for name, content in ((target.place, target.files[0]), *target.beside):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    intact = [_digest_of(target, path, content) for content in target.files] if target.checksum else []
    for number in numbers:
        rng = np.random.default_rng([seed, number, *target.name.encode()])
        which = int(rng.integers(len(target.files)))
        content = target.mutate(target.files[which], rng)
        path.write_bytes(content)
        kind, fault = _tried(target, folder, intact[which] if intact else None)
        outcome.counts[kind] += 1
        if fault:
            outcome.faults.append(f"{target.name}, seed {seed}, number {number}: {fault}")
            path.with_name(f"fault_{number}").write_bytes(content)
    return outcome


def _digest_of(target: Target, path: Path, content: bytes) -> object:
    path.write_bytes(content)
    return target.read(path.parent)


def _tried(target: Target, folder: Path, intact: object) -> tuple[str, str | None]:
    """How a reader took a damaged file, and what is wrong with that."""
    start, before = time.monotonic(), _peak()
    kind, fault = "read", None
    try:
        with _watched():
            result = target.read(folder)
        if intact is not None and result != intact:
            fault = "changed in silence"
    except UserError as error:
        kind, fault = "refused", _fault_of(str(error))
    except BaseException as error:
        kind, fault = "fault", f"{type(error).__name__}: {str(error)[:200]!r}"
    if (seconds := time.monotonic() - start) > SECONDS:
        fault = f"took {seconds:.1f} s"
    if (grown := _peak() - before) > BYTES:
        fault = f"took {grown / 2**20:.0f} MiB"
    return kind, fault


def _fault_of(line: str) -> str | None:
    if "\n" in line or not line.strip():
        return f"not one line: {line[:200]!r}"
    if len(line) > 4000:
        return f"a line of {len(line)} characters: {line[:200]!r}"
    return "out of memory, caught" if "MemoryError" in line else None


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    faulthandler.dump_traceback_later(_KILLED_AFTER, exit=True)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
