"""Files that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from common import distributed
from common.errors import ConfigError
from common.files import temporary as unfinished


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``; whatever happens, ``path`` holds either the old content or all of the new.

    The data goes to a temporary file in the same folder, reaches the disk, and then takes the name in one step. Of
    several processes the first one writes, and none goes on before it has. What killed processes left unfinished in
    the folder goes first.

    Raises:
        OSError: The folder is absent or not writable, or the disk is full. Nothing is left behind.
    """
    if distributed.first():
        _write(Path(path), data)
    distributed.wait()


def _write(path: Path, data: bytes) -> None:
    unfinished.clean_once(path.parent.absolute())
    temporary = unfinished.beside(path)
    try:
        # Mode 'x' and no tempfile module: the file gets the user's usual permissions, not 0600.
        with temporary.open("xb") as file:
            file.write(data)
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished file of the same folder its name, in one step, once its content has reached the disk.

    Raises:
        OSError: It cannot be done; both names hold what they held.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)  # noqa: PTH105
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system allows to open folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> Path:
    """Write a file whole or not at all; its folder is made if it is missing.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        target = Path(path).resolve()  # a link stays a link
        if target.exists() and not target.is_file():
            raise ConfigError(f"cannot write {path}: expected the name of a file, found a folder or a device")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text.encode("utf-8", "backslashreplace"))
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot write {path}: {reason}; give another file or folder") from None
    return Path(path)


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove folders and all they hold; of several processes the first one does, and none goes on before it has."""
    if distributed.first():
        for folder in folders:
            shutil.rmtree(folder)
    distributed.wait()
