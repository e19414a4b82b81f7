"""Running the scripts of a comparison, several networks at a time."""

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.distributed import processors
from common.errors import ConfigError
from comparison.entries import Command

ROOT = Path(__file__).resolve().parents[2]
Item = TypeVar("Item")


def _cores() -> list[int]:
    """The processors that the jobs may use; fewer than this process sees where a quota allows less of their time."""
    visible = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return list(visible)[: processors.allowed()]


_PR_SET_PDEATHSIG = 1  # of Linux
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)


def _end_with_parent() -> None:
    """Let this process be killed when its parent is: the next run of the command would write the same files."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Scripts:
    """Scripts of the methods; their output goes to stderr, each line after the name of its network.

    Args:
        shared: options that all scripts get.
        threads: number of threads of each; None: its share of the processor's cores.
        jobs: number of scripts at a time. The cores are divided among them, and each has its own to itself, for
            MindSpore's threads wait for each other; where there are more jobs than cores, none has.
    """

    def __init__(self, shared: Sequence[str], threads: int | None, jobs: int):
        cores = _cores()
        self._shared, self._threads = list(shared), threads
        self._parts: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for part in np.array_split(cores, jobs) if jobs <= len(cores) else [[]] * jobs:
            self._parts.put([int(core) for core in part])
        self._lock, self._running, self._ended = threading.Lock(), set(), False

    def run(self, name: str, command: Command, *words: str) -> None:
        """Run a script in its method's folder.

        Raises:
            ConfigError: the script fails (it has said why), another one did, or :meth:`end` was called before.
        """
        method, script = os.path.split(command.script)
        cores = self._parts.get()
        try:
            line = [sys.executable, script, *command.words(), *self._shared]
            threads = str(self._threads or len(cores) or 1)
            with self._started(name, [*line, "--threads", threads, *words], ROOT / method, cores, threads) as process:
                for text in process.stdout:
                    print(f"{name}: {text.rstrip()}", file=sys.stderr)
            self._finished(process, command)
        finally:
            self._parts.put(cores)

    def _started(
        self, name: str, line: list[str], folder: Path, cores: Sequence[int], threads: str
    ) -> subprocess.Popen:
        with self._lock:
            if self._ended:
                raise ConfigError("another script failed")
            print(f"{name}: python {' '.join(line[1:])}", file=sys.stderr)
            if cores and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, cores)  # of this thread; the process and all its threads take it over
            environment = {"OMP_NUM_THREADS": threads, **os.environ, "PYTHONUNBUFFERED": "1"}
            settings = {"cwd": folder, "env": environment, "text": True, "errors": "replace", "start_new_session": True}
            settings["preexec_fn"] = _end_with_parent
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)
            self._running.add(process)
            return process

    def _finished(self, process: subprocess.Popen, command: Command) -> None:
        with self._lock:
            self._running.discard(process)
            if not process.returncode:
                return
            self._ended = True  # before another network takes the place
        said = f"ended with status {process.returncode}; its message is above"
        killed = f"was ended by {signal.Signals(-process.returncode).name}" if process.returncode < 0 else said
        raise ConfigError(f"{command.script} {killed}; run this command again")

    def end(self) -> None:
        """Stop all that run, with the processes that they started, and let none start."""
        with self._lock:
            self._ended = True
            for process in self._running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)


def for_each(items: Iterable[Item], work: Callable[[Item], None], jobs: int, end: Callable[[], None]) -> None:
    """Work on the items, ``jobs`` at a time; when one fails, ``end`` ends the others and its error is raised.

    So do the signals that ask this process to end, where its main thread waits here.
    """
    asked = {signal.SIGTERM, signal.SIGHUP} if threading.current_thread() is threading.main_thread() else set()
    before = {number: signal.signal(number, _leave) for number in asked}
    try:
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                end()
                raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)
