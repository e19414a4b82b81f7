"""The user's cache folder, for what can be made or fetched again."""

import contextlib
import functools
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common.errors import ConfigError

VARIABLE = "LOWBITZOO_CACHE"


def user_cache(part: str) -> Path:
    """``$LOWBITZOO_CACHE/part``, else ``lowbitzoo/part`` in the user's cache folder; absolute, not made here.

    Where there is no home folder to write to, it is a folder below the temporary one, and a warning says so once.

    Raises:
        ConfigError: the variable names the home folder of a user who is not known.
    """
    return next(cache_folders(part))


def cache_folders(part: str) -> Iterator[Path]:
    """The places of a part of the cache, the best one first: the variable's, the home folder's, a temporary one.

    Raises:
        ConfigError: as :func:`user_cache`.
    """
    if wanted := os.environ.get(VARIABLE):
        yield _expanded(wanted) / part
    home = _home_cache()
    if home is not None and _can_be_made(home):
        yield home / part
    elif not wanted:
        _warn_of_no_home(home)
    yield temporary_cache() / part


def temporary_cache() -> Path:
    """The cache of a user without a home folder, apart from those of other users."""
    return Path(tempfile.gettempdir()).absolute() / f"lowbitzoo-{os.getuid()}"


def distrust(folder: Path) -> str | None:
    """Why code from a folder must not be run: others may write it; None where only this user and root can.

    A folder that is not there, but can be made, is fine.
    """
    for place in (folder, folder.parent):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if reason := _distrusted(place, place.stat()):
                return reason
    for place in folder.parent.parents:
        with contextlib.suppress(OSError):
            mode = place.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                return f"everybody may write {place}"
    return None


def file_distrust(path: Path) -> str | None:
    """Why a file must not be run: another user owns it, everybody may write it, or it is a link; None: nothing."""
    status = path.lstat()
    return _distrusted(path, status) if stat.S_ISREG(status.st_mode) else f"{path} is no plain file"


def _distrusted(path: Path, status: os.stat_result) -> str | None:
    if status.st_uid not in (os.getuid(), 0):
        return f"{path} belongs to another user ({status.st_uid})"
    # A sticky folder such as /tmp is everybody's, but what is in it is its owner's alone.
    if status.st_mode & stat.S_IWOTH and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return f"everybody may write {path}"
    return None


def _expanded(wanted: str) -> Path:
    try:
        return Path(wanted).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            f"{VARIABLE}: expected a folder, found {wanted!r}, of whose ~ no home folder is known; give its full path"
        ) from None


def _home_cache() -> Path | None:
    """``lowbitzoo`` in the user's cache folder; None without a home folder."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if Path(named).is_absolute():  # others are to be ignored, says the standard of this variable
        return Path(named) / "lowbitzoo"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".cache" / "lowbitzoo" if home.is_absolute() and home != Path("/") else None


def _can_be_made(folder: Path) -> bool:
    """Whether the folder can be written, or made where its first parent that exists lies."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


@functools.cache
def _warn_of_no_home(home: Path | None) -> None:
    why = f"{home} cannot be written" if home else "there is no home folder"
    where = temporary_cache()
    print(f"warning: {why}: the cache is {where}; set {VARIABLE} to a folder that stays", file=sys.stderr)
