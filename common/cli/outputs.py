"""Files and folders that a script is to write, checked before its work: their kind, the right to write, the room."""

import contextlib
import os
import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from common.errors import ConfigError
from common.files import temporary

FOLDERS, FILES = ("output_dir",), ("json", "save_checkpoint", "output", "predictions")
ROOM = 1 << 20  # bytes that must be free: less than any network and its curves need


def check_outputs(args: Namespace, folders: bool) -> None:
    """Try to make and to write what the options name; of what is made, only missing folders stay, and these if named.

    Args:
        args: of a script.
        folders: also ``--output_dir``: of scripts that always write into it.

    Raises:
        ConfigError: a path that cannot be written.
    """
    for name in (*(FOLDERS if folders else ()), *FILES):
        if (path := getattr(args, name, None)) is not None:
            with _said(name, path):
                target = path.resolve()  # a link stays a link
                if name == "output" and (target.is_dir() or not target.parent.is_dir()):
                    continue  # common.cli.export says what it must be
                if name in FILES and (target.is_dir() or path.name in ("", ".", "..") or _is_device(target)):
                    raise ConfigError(f"{name}: expected the name of a file, found a folder or a device: {path}")
                _try_folder(target if name in FOLDERS else target.parent)
                if name in FILES and target.exists():
                    target.open("ab").close()


@contextlib.contextmanager
def _said(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name}: cannot write {path} ({reason}); give another one") from None


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _try_folder(folder: Path) -> None:
    """Make a folder, and a file in it; only the folder stays. Removes what killed processes left in it.

    Raises:
        OSError: it cannot be done, or there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary.clean_once(folder)
    attempt = temporary.beside(folder / "attempt")
    try:
        with attempt.open("xb") as file:
            file.write(b"attempt")
            os.fsync(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            attempt.unlink()
    usage = shutil.disk_usage(folder)
    if usage.total and usage.free < ROOM:  # some file systems do not count
        raise OSError(0, f"{usage.free:,} bytes are free, expected at least {ROOM:,}")
