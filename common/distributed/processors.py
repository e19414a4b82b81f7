"""How many processors this process may use: what every number of threads that we start is made of."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_chosen: int | None = None


def choose(count: int | None) -> None:
    """Use at most ``count`` processors from now on; None or 0: as many as the system allows."""
    global _chosen
    _chosen = count or None


def count() -> int:
    """The number that was chosen, else as many as the system allows; at least 1."""
    return _chosen or allowed()


def is_limited() -> bool:
    """Whether fewer were chosen, or a quota allows fewer, than libraries count by themselves."""
    return count() < _visible()


def allowed() -> int:
    """The processors that this process may run on, or as many as its share of their time is worth, rounded up.

    The share is that of control groups (``cpu.max``, or ``cpu.cfs_quota_us`` of version 1), as containers set it: more
    threads than that do not run at once but are stopped for a part of each tenth of a second.
    """
    shares = [max(1, math.ceil(quota)) for quota in _quotas()]
    return min([_visible(), *shares])


def _visible() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """The shares of the groups that this process is in, in processors."""
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            yield int(quota) / int(period)  # "max" is no number
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
            if quota > 0:
                yield quota / int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))


def _groups() -> Iterator[Path]:
    """The folders of the groups, from the innermost to the root; inside of a container its own one is the root."""
    yield from (_CGROUPS, _CGROUPS / "cpu", _CGROUPS / "cpu,cpuacct")
    with contextlib.suppress(OSError, ValueError):
        for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines():
            _, kinds, name = line.split(":", 2)
            if not kinds or "cpu" in kinds.split(","):
                top = _CGROUPS / kinds if kinds else _CGROUPS
                group = top / name.strip("/")
                while group != top and top in group.parents:
                    yield group
                    group = group.parent
