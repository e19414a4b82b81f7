"""Names of unfinished files, and the removal of those whose process is gone."""

import contextlib
import functools
import os
import re
import secrets
import socket
import time
import zlib
from pathlib import Path

_NAME = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}\.tmp")
_SECONDS = 24 * 3600.0  # an unfinished file of another machine, or of a number that a new process has, is stale then


def beside(path: Path) -> Path:
    """A name for an unfinished file in the folder of ``path``, which says whose it is: machine and process."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@functools.cache
def clean_once(folder: Path) -> None:
    """The first time in this process: :func:`remove_stale`."""
    remove_stale(folder)


def remove_stale(folder: Path) -> None:
    """Remove the unfinished files in a folder whose processes are gone; whatever cannot be removed stays."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = _NAME.fullmatch(entry.name)
            if match and _is_stale(entry, match[1], int(match[2])):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _is_stale(entry: os.DirEntry, machine: str, process: int) -> bool:
    with contextlib.suppress(OSError):
        old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _SECONDS
        return old or (machine == _machine() and not _runs(process))
    return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


@functools.cache
def _machine() -> str:
    """Eight digits of the machine's name: the numbers of processes are of one machine."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"
