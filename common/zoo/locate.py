"""From a registered name to a file that has been verified."""

from collections.abc import Sequence
from pathlib import Path

from common.errors import CheckpointError
from common.zoo.registry import entries, find, near
from common.zoo.store import fault_of, path_of


def locate(name: str, mirrors: Sequence[str] | None = None) -> Path:
    """The verified file of a registered checkpoint; fetched into the cache if it is not there.

    Args:
        name: of an entry.
        mirrors: where to fetch from, see :func:`common.zoo.download.addresses`.

    Raises:
        ConfigError: the name is not registered.
        CheckpointError: the file is damaged or cannot be fetched.
    """
    entry = find(name)
    path, fault = path_of(entry), fault_of(entry)
    if path is not None and fault is None:
        return path
    if entry.shipped:
        raise CheckpointError(f"{name}: {fault}; restore it with git checkout, or record it with scripts/update_zoo.py")
    from common.zoo.download import download  # most runs need no network, and its imports take time

    return download(entry, mirrors)


def named(path: Path, mirrors: Sequence[str] | None = None) -> Path:
    """The verified file where ``path`` is a registered name and no file of that name exists, else ``path`` itself.

    Raises:
        CheckpointError: the file of the name is damaged or cannot be fetched.
    """
    return locate(str(path), mirrors) if str(path) in entries() and not path.exists() else path


def near_path(path: Path) -> str:
    """The end of a message about a missing file: registered names that resemble it, or nothing."""
    return near(path.name)
