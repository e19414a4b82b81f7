"""Registered names of checkpoints in the place of paths."""

from collections.abc import Sequence
from pathlib import Path

from common import zoo
from common.errors import CheckpointError


def resolved(path: Path, mirrors: Sequence[str] | None = None) -> Path:
    """The file that an option names: a path, or the verified file of a registered name.

    Args:
        path: what the user gave.
        mirrors: where registered files are fetched from.

    Raises:
        CheckpointError: there is no such file and a registered name resembles it, or the file of the name is damaged or
            cannot be fetched.
    """
    file = zoo.named(path, mirrors)
    if not file.exists() and (near := zoo.near_path(path)):
        raise CheckpointError(f"{path}: expected a checkpoint file or a registered name, found none{near}")
    return file
