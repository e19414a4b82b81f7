"""The files of registered checkpoints: where they are, whether they are the right ones, and one writer at a time."""

import contextlib
import fcntl
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import CheckpointError
from common.files.cache import user_cache
from common.zoo.registry import ROOT, Entry

_CHUNK = 1 << 20


@dataclass(frozen=True)
class PlacedEntry(Entry):
    """What is fetched like a checkpoint, but into a folder of the user's choice.

    Attributes:
        folder: folder of the file.
    """

    folder: Path


def path_of(entry: Entry) -> Path | None:
    """Where the file is or belongs: in the repository or in the cache; None if its name is not known."""
    if entry.file is None:
        return None
    if isinstance(entry, PlacedEntry):
        return entry.folder / entry.file
    return ROOT / entry.file if entry.shipped else user_cache("checkpoints") / entry.file


def sha256(path: Path) -> str:
    """Digest of a file's content, in hexadecimal digits.

    Raises:
        CheckpointError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def found_sha256_file(path: Path) -> Path:
    """Where the digest of a download stands that had none registered."""
    return path.with_name(f"{path.name}.sha256")


def expected_sha256(entry: Entry) -> str | None:
    """What the file must have: the registered digest, else that of an earlier unverified download, else None."""
    path = path_of(entry)
    if entry.sha256 or path is None or not found_sha256_file(path).is_file():
        return entry.sha256
    return found_sha256_file(path).read_text(encoding="ascii", errors="replace").strip()


def fault_of(entry: Entry) -> str | None:
    """What is wrong with the file, in words; None if it is there and the right one."""
    path, expected = path_of(entry), expected_sha256(entry)
    if path is None:
        return "the name of its file was not published"
    if not path.is_file():
        return f"expected a file at {path}, found none"
    if expected is None:
        return f"no sha256 is registered to verify {path} with"
    found = sha256(path)
    return None if found == expected else f"{path}: expected sha256 {expected}, found {found}"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time write ``path``; others wait. The lock is gone when its process is, however it ends.

    Raises:
        CheckpointError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock").open("ab")  # stays: removing it would let two in
    except OSError as error:
        raise CheckpointError(
            f"{path.parent}: cannot be written ({error.strerror}); set LOWBITZOO_CACHE to another folder"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that fetches {path.name}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
