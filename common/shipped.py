"""The checkpoints that ship with the repository."""

from pathlib import Path

from common.errors import ConfigError


def shipped(path: Path, dataset: str, kind: str = "") -> Path:
    """``path``, where it exists.

    Raises:
        ConfigError: no checkpoint of this ``kind`` is shipped for the data set.
    """
    if not path.exists():
        what = f"{kind} checkpoint" if kind else "checkpoint"
        raise ConfigError(f"checkpoint_path: no {what} is shipped for {dataset}; give the path of one")
    return path


def float_path(dataset: str) -> Path:
    """Where the float ResNet-20 of a data set would be, the start of several methods."""
    return Path(__file__).parent / "checkpoints" / f"resnet20_{dataset}.ckpt"
