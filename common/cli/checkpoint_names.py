"""Registered names of checkpoints in the place of paths."""

from collections.abc import Sequence
from pathlib import Path

from common import zoo
from common.errors import CheckpointError


def resolved(path: Path, mirrors: Sequence[str] | None = None) -> Path:
    """The file that an option names: a path, or the verified file of a registered name.

    Args:
        path: path or name that the user gave.
        mirrors: addresses or folders that registered files are fetched from.

    Raises:
        CheckpointError: a word without folder and ending that is not registered resembles a name that is, or the file
            of the name is damaged or cannot be fetched, or ``best.ckpt`` of a run that has another file in its place.
    """
    final = path.with_name("final.ckpt")
    if path.name == "best.ckpt" and not path.exists() and final.exists():
        raise CheckpointError(
            f"{path}: expected the best network on validation images, found a run without --validation; give {final}"
        )
    file = zoo.named(path, mirrors)
    if not file.exists() and _is_word(path) and str(path) not in zoo.entries() and (near := zoo.near_path(path)):
        raise CheckpointError(f"{path}: expected a checkpoint file or a registered name, found none{near}")
    return file


def _is_word(path: Path) -> bool:
    return path.name == str(path) and not path.suffix
