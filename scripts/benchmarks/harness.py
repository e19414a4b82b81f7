"""Candidates that take turns in processes of their own, and their measurements."""

import contextlib
import json
import os
import platform
import select
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import processor
from common.errors import UserError
from common.kernels import build

Setup = Callable[..., Callable[[], object]]
_WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Candidate:
    """One thing to time.

    Attributes:
        name: name in the table.
        setup: function of a module, called in the candidate's process; returns the step to time.
        arguments: arguments of ``setup``, of kinds that JSON has.
        python: interpreter of the process; None: this one, with this one's path of modules.
        tree: folder of another checkout of the project, whose packages take the place of this one's.
        environment: variables of the process; None: this one's.
        patience: seconds after which a candidate that is not ready is left out; None: no end.
        seconds: seconds of each timed step, filled by :func:`take_turns`; none if it was left out.
        peak_mib: largest resident memory of its process, in MiB.
    """

    name: str
    setup: Setup
    arguments: Mapping[str, Any]
    python: str | None = None
    tree: Path | None = None
    environment: Mapping[str, str] | None = None
    patience: float | None = None
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


class Worker:
    """The process of a candidate.

    Args:
        candidate: what it times.
    """

    def __init__(self, candidate: Candidate):
        self.name, setup = candidate.name, candidate.setup
        words = [str(_WORKER), setup.__module__, setup.__qualname__, json.dumps(dict(candidate.arguments))]
        environment = dict(os.environ if candidate.environment is None else candidate.environment)
        if candidate.python is None:
            trees = [str(candidate.tree)] if candidate.tree else []
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, trees + sys.path))
        else:
            environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [candidate.python or sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def answer(self, patience: float | None = None) -> Any:
        """The next answer.

        Raises:
            TimeoutError: none came in time.
            UserError: the process has ended.
        """
        if not select.select([self.process.stdout], [], [], patience)[0]:
            raise TimeoutError(f"{self.name}: not ready after {patience:.0f} s, left out")
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"{self.name}: its process ended with status {self.process.wait()}; see its messages above")
        return json.loads(line)

    def turn(self) -> tuple[float, float]:
        """Seconds of one step, and the largest memory so far in MiB."""
        self.process.send_signal(signal.SIGCONT)
        print("turn", file=self.process.stdin, flush=True)
        seconds, peak = self.answer()
        self.rest()
        return seconds, peak

    def rest(self) -> None:
        """Stop until the next turn: threads of a library may look out for work long after a step."""
        self.process.send_signal(signal.SIGSTOP)

    def close(self, wait: bool = True) -> None:
        """End the process, after its step if it may ``wait``."""
        self.process.send_signal(signal.SIGCONT)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if not wait:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def _started(candidates: list[Candidate]) -> Iterator[list[tuple[Candidate, Worker]]]:
    """The workers that are ready; one that is not in time is told of and left out."""
    ready: list[tuple[Candidate, Worker]] = []
    done = False
    try:
        for candidate in candidates:
            ready.append((candidate, Worker(candidate)))
            try:
                ready[-1][1].answer(candidate.patience)
                ready[-1][1].rest()
            except TimeoutError as error:
                ready.pop()[1].close(wait=False)
                print(error, file=sys.stderr)
        yield ready
        done = True
    finally:
        for _, worker in ready:
            worker.close(wait=done)


def take_turns(candidates: list[Candidate], rounds: int) -> None:
    """Time every candidate once a round, in their order, one at a time."""
    with _started(candidates) as ready:
        for _ in range(rounds):
            for candidate, worker in ready:
                seconds, candidate.peak_mib = worker.turn()
                candidate.seconds.append(seconds)


def machine() -> dict[str, str]:
    """Description of the machine that the numbers were measured on."""
    return {
        "processor": processor.name(),
        "cores": str(os.cpu_count()),
        "integer adder kernel": build.sad_instructions(),
        "python": platform.python_version(),
    }
