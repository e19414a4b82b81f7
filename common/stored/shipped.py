"""The checkpoints that ship with the repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
# The float ResNet-20 of a data set, the start of several methods.
FLOAT = "common/zoo/files/resnet20_{dataset}.ckpt"


@dataclass(frozen=True)
class Shipped:
    """The checkpoints that ship with a method.

    Attributes:
        files: kind to its file in the repository, with ``{dataset}`` in the name; the first kind is what ``eval.py``
            takes without options.
    """

    files: Mapping[str, str]

    def __call__(self, dataset: str, kind: str | None = None) -> Path:
        """The file of a kind, None: the first one, for a data set.

        Raises:
            ConfigError: there is none.
        """
        kind = kind or next(iter(self.files))
        path = ROOT / self.files[kind].format(dataset=dataset)
        if not path.exists():
            raise ConfigError(f"checkpoint_path: no {kind} checkpoint is shipped for {dataset}; give the path of one")
        return path
