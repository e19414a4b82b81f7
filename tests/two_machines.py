"""Two machines on one: network namespaces that a virtual cable joins, as a context manager for tests."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("unshare", "nsenter", "ip")


@dataclass(frozen=True)
class Machine:
    """A network namespace, alive as long as the process that holds it.

    Attributes:
        holder: number of that process.
        address: its address at the cable.
    """

    holder: int
    address: str

    def words(self, *command: object) -> list[str]:
        """A command line that runs in the namespace."""
        return ["nsenter", f"--net=/proc/{self.holder}/ns/net", *map(str, command)]

    def start(self, script: str, *options: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        """One of the launch scripts, started here."""
        line = self.words("bash", ROOT / "scripts" / script, *options)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(line, cwd=cwd, env=os.environ | environment, **pipes)

    def die(self) -> None:
        """End all processes of the namespace at once, as a power cut does; the namespace stays."""
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                number = int(entry.name)
                if number != self.holder and _namespace(number) == _namespace(self.holder):
                    os.kill(number, signal.SIGKILL)


def _namespace(process: int) -> str:
    return str(Path(f"/proc/{process}/ns/net").readlink())


def obstacle() -> str:
    """Why this machine makes no namespaces; empty where it does."""
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"needs {', '.join(missing)}"
    inside = "unshare --net sh -c 'ip link add cable type veth peer name other'"
    done = subprocess.run(inside, shell=True, capture_output=True, text=True, check=False)
    return f"no network namespaces: {done.stderr.strip()}" if done.returncode else ""


@contextmanager
def joined() -> Iterator[tuple[Machine, Machine]]:
    """Two machines with a cable between them; all that runs on them is ended at the end."""
    holders = [subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) for _ in range(2)]
    machines = tuple(Machine(holder.pid, f"10.77.0.{i + 1}") for i, holder in enumerate(holders))
    try:
        for machine in machines:
            _wait_for(machine)
        first, second = machines
        cable = ("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second.holder)
        subprocess.run(first.words(*cable), check=True)
        for machine in machines:
            for line in (f"addr add {machine.address}/24 dev cable", "link set cable up", "link set lo up"):
                subprocess.run(machine.words("ip", *line.split()), check=True)
        yield first, second
    finally:
        for machine, holder in zip(machines, holders):
            machine.die()
            holder.kill()
            holder.wait()


def _wait_for(machine: Machine) -> None:
    """Until the holder has left this process's namespace."""
    end = time.monotonic() + 10
    while _namespace(machine.holder) == _namespace(os.getpid()):
        if time.monotonic() > end:
            raise TimeoutError("unshare made no namespace within 10 s")
        time.sleep(0.01)
