"""Candidates that take turns in processes of their own, and their measurements."""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.kernels import build

Setup = Callable[..., Callable[[], None]]
_LONG = 2.0  # seconds of a step that needs no other one to warm up


@dataclass
class Candidate:
    """One thing to time.

    Attributes:
        name: name in the table.
        setup: function of a module, called in the candidate's process; returns the step to time.
        arguments: arguments of ``setup``.
        seconds: seconds of each timed step, filled by :func:`take_turns`.
        peak_mib: largest resident memory of its process, in MiB.
    """

    name: str
    setup: Setup
    arguments: Mapping[str, Any]
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


def _serve(connection, setup: Setup, arguments: Mapping[str, Any]) -> None:
    step = setup(**arguments)
    for _ in range(2):  # compile, fill caches
        step()
    connection.send(None)
    seconds = 0.0
    while connection.recv():
        if seconds < _LONG:  # while others had their turns, the system may have taken memory and caches away
            step()
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        connection.send((seconds, _peak_mib()))


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(peak.split()[1]) / 1024


def take_turns(candidates: list[Candidate], rounds: int) -> None:
    """Time every candidate once a round, in their order, one at a time."""
    spawn = multiprocessing.get_context("spawn")
    workers = []
    for candidate in candidates:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(theirs, candidate.setup, candidate.arguments), daemon=True)
        process.start()
        theirs.close()
        ours.recv()  # ready: an EOFError here means that the candidate's process died, its traceback is above
        workers.append((process, ours))
    for _ in range(rounds):
        for candidate, (_, connection) in zip(candidates, workers, strict=True):
            connection.send(True)
            seconds, candidate.peak_mib = connection.recv()
            candidate.seconds.append(seconds)
    for process, connection in workers:
        connection.send(False)
        process.join()


def machine() -> dict[str, str]:
    """Description of the machine that the numbers were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "integer adder kernel": build.sad_instructions(),
        "python": platform.python_version(),
    }
