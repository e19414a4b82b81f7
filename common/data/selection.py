"""Which images a run works on, as values."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSelection:
    """The images that a user chose.

    Attributes:
        dataset: name of a data set, see :data:`common.data.registry.DATASETS`.
        path: folder with both parts; None where the data set is built in, or where both parts have folders.
        train_path: folder of the training images alone; None: ``path``.
        eval_path: folder of the test images alone; None: ``path``.
        classes: file that lists the classes of class folders in label order; None: theirs.
        num_samples: evaluate so many test images alone, spread over the classes; None: all.
        train_samples: use so many training images alone, the same for all seeds; None: all.
    """

    dataset: str
    path: Path | None = None
    train_path: Path | None = None
    eval_path: Path | None = None
    classes: Path | None = None
    num_samples: int | None = None
    train_samples: int | None = None

    def folder(self, split: str) -> Path | None:
        """Where the ``train`` or ``test`` images are."""
        return (self.train_path if split == "train" else self.eval_path) or self.path
