"""Reading a checkpoint file as bytes, and turning whatever a damaged one causes into one clear line."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from common.errors import CheckpointError

_LONGEST_CAUSE = 200
_LARGEST = 2**31 - 1  # bytes: what a .ckpt can hold


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        CheckpointError: ``path`` is missing, a folder, unreadable, empty or larger than 2 GiB.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: expected a checkpoint file, found a folder")
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint file, found none; check the path")
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise CheckpointError(f"{path}: expected a checkpoint of at most 2 GiB, found {size:,} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except MemoryError:
        raise CheckpointError(f"{path}: expected a file that fits into memory, found {size:,} bytes") from None
    if not content:
        raise CheckpointError(f"{path}: the file is empty; copy or download it again")
    return content


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Run the body as the parser of ``path``: every exception leaves as a CheckpointError that names the file."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:
        # zipfile, pickletools, protobuf and numpy raise a dozen types on damaged input, not all of them documented.
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_CAUSE]
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({cause}); copy or download it again") from error
