"""What MindSpore's launcher leaves in the environment of a process, and a wait for the others that has an end."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError

ROLES = ("MS_WORKER", "MS_SCHED")
_SIBLINGS = ("MS_WORKER_NUM", "MS_SCHED_HOST", "MS_SCHED_PORT")
_SECONDS, _SECONDS_ALONE = 120.0, 10.0  # that the others may take, with a launcher and without
_MEND = "unset it to run one process, or start several by scripts/run_distributed.sh"


@dataclass(frozen=True)
class Launch:
    """What the environment says of the other processes.

    Attributes:
        role: of this process, one of ``ROLES``.
        host: of the scheduler, the process that brings the others together.
        port: of the scheduler.
        end: of the wait for them, on the clock of ``time.time``.
    """

    role: str
    host: str
    port: int
    end: float

    def wait_for_scheduler(self) -> None:
        """Go on when the scheduler answers, and let MindSpore wait no longer than ``end``.

        Raises:
            ConfigError: it does not in time.
        """
        while not _answers(self.host, self.port):
            if time.time() >= self.end:
                raise ConfigError(
                    f"MS_ROLE={self.role} is set in the environment, but no scheduler answers at {self.host}:"
                    f"{self.port}; {_MEND}, on the first machine too"
                )
            time.sleep(0.2)
        os.environ["MS_TOPO_TIMEOUT"] = str(max(1, int(self.end - time.time())))

    def incomplete(self) -> str:
        """What is said where not all have come in time."""
        number = os.environ["MS_WORKER_NUM"]
        return (
            f"not all {number} processes have come to {self.host}:{self.port} in time; start the same number on every "
            "machine, or let START_SECONDS be more"
        )

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """End this process with one line where the block, which lets no other thread run, lasts longer than ``end``."""
        line = f"error: {self.incomplete()}\n"
        alive, keep = os.pipe()
        waiting, watcher = os.getpid(), os.fork()
        if not watcher:
            os.close(keep)
            if not select.select([alive], [], [], max(0.5, self.end - time.time()))[0]:
                os.write(2, line.encode())
                os.kill(waiting, signal.SIGKILL)
            os._exit(0)
        os.close(alive)
        try:
            yield
        finally:
            os.close(keep)  # the watcher reads the end, as it does if this process dies
            os.waitpid(watcher, 0)


def launched() -> Launch | None:
    """What the launcher says; None for a process that runs alone.

    Raises:
        ConfigError: the environment has a role that no launcher can have given this process.
    """
    if "MS_ROLE" not in os.environ:
        return None
    role = os.environ["MS_ROLE"]
    if role not in ROLES:
        raise ConfigError(f"MS_ROLE: expected {' or '.join(ROLES)} in the environment, found {role!r}; {_MEND}")
    if missing := [name for name in _SIBLINGS if not os.environ.get(name)]:
        raise ConfigError(f"MS_ROLE={role} is set in the environment, but {missing[0]} is not; {_MEND}")
    for name in ("MS_WORKER_NUM", "MS_SCHED_PORT"):
        if not os.environ[name].isdecimal():
            raise ConfigError(f"{name}: expected a number in the environment, found {os.environ[name]!r}; {_MEND}")
    by_launcher = _has_launcher()
    if role == "MS_SCHED" and not by_launcher:
        raise ConfigError(f"MS_ROLE={role} is set in the environment, but no launcher started this process; {_MEND}")
    end = _end(_SECONDS if by_launcher else _SECONDS_ALONE)
    return Launch(role, os.environ["MS_SCHED_HOST"], int(os.environ["MS_SCHED_PORT"]), end)


def _end(seconds: float) -> float:
    """When all must have come: ``$START_BY`` of scripts/run_distributed.sh, else in ``$START_SECONDS``."""
    with contextlib.suppress(KeyError, ValueError):
        return float(os.environ["START_BY"])
    with contextlib.suppress(KeyError, ValueError):
        seconds = float(os.environ["START_SECONDS"])
    return time.time() + seconds


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 2):
            return True
    except (OSError, OverflowError):
        return False


def _has_launcher() -> bool:
    """Whether msrun is among the processes that this one comes from; taken for granted where that cannot be seen."""
    process = os.getppid()
    while process > 1:
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return process == os.getppid()
        if b"msrun" in command or b"parallel.cluster.run" in command:
            return True
        process = int(status.rpartition(")")[2].split()[1])
    return False
