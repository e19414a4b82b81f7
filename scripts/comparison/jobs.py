"""Running the scripts of a comparison, several networks at a time."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from common.errors import ConfigError
from comparison.entries import Command

ROOT = Path(__file__).resolve().parents[2]
Item = TypeVar("Item")


class Scripts:
    """Scripts of the methods; what they print goes to stderr, each line behind the name of its network.

    Args:
        shared: options that all of them get.
        threads: of each; None: as many as it has cores.
        jobs: how many run at a time; each has its share of the processor's cores to itself, as far as there are so
            many, for MindSpore's threads wait for each other.
    """

    def __init__(self, shared: Sequence[str], threads: int | None, jobs: int):
        cores = sorted(os.sched_getaffinity(0))
        share = max(1, len(cores) // jobs)
        self._cores: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for job in range(jobs):
            self._cores.put(cores[job * share : (job + 1) * share] or cores)
        threads = str(threads or share)
        self._shared = [*shared, "--threads", threads]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": threads}
        self._lock, self._running, self._ended = threading.Lock(), set(), False

    def run(self, name: str, command: Command, *words: str) -> None:
        """Run a script in its method's folder.

        Raises:
            ConfigError: it fails (it has said why), or :meth:`end` was called.
        """
        method, script = os.path.split(command.script)
        line = [sys.executable, script, *command.words(), *self._shared, *words]
        print(f"{name}: python {script} {' '.join(command.words())}", file=sys.stderr)
        cores = self._cores.get()
        try:
            with self._started(line, ROOT / method, cores) as process:
                for text in process.stdout:
                    print(f"{name}: {text.rstrip()}", file=sys.stderr)
        finally:
            self._cores.put(cores)
        with self._lock:
            self._running.discard(process)
        if process.returncode:
            end = f"ended with status {process.returncode}; its message is above; run this command again"
            raise ConfigError(f"{command.script} {end}")

    def _started(self, line: Sequence[str], folder: Path, cores: Sequence[int]) -> subprocess.Popen:
        with self._lock:
            if self._ended:
                raise ConfigError("another script failed")
            settings = {"cwd": folder, "env": self._environment, "text": True, "errors": "replace"}
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)
            os.sched_setaffinity(process.pid, cores)  # before it has threads, which take it over
            self._running.add(process)
            return process

    def end(self) -> None:
        """Stop all that run, and let none start."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.terminate()


def for_each(items: Iterable[Item], work: Callable[[Item], None], jobs: int, end: Callable[[], None]) -> None:
    """Work on the items, ``jobs`` at a time; when one fails, ``end`` ends the others and its error is raised."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end()
            raise
