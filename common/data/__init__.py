"""Data sets, the preprocessing that belongs to a checkpoint, and pipelines that count every image exactly once.

>>> from common.data import CIFAR10, batches, eval_dataset, open_dataset
>>> source = open_dataset("cifar10", "/data/cifar10", "test")           # doctest: +SKIP
>>> for batch in batches(eval_dataset(source, CIFAR10, 128)):           # doctest: +SKIP
...     batch["image"], batch["label"], batch["valid"]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.data.arrays import ImageArrays
    from common.data.imagenet import ImageFolder
    from common.data.pipeline import batches, eval_dataset, train_dataset
    from common.data.preprocessing import CIFAR10, CIFAR10_IMAGENET_STATS, CIFAR100, DIGITS, IMAGENET, Preprocessing
    from common.data.registry import DATASETS, open_dataset, open_split
    from common.data.selection import DataSelection
    from common.data.source import ImageSource

_PLACES = {
    "arrays": ("ImageArrays",),
    "imagenet": ("ImageFolder",),
    "pipeline": ("batches", "eval_dataset", "train_dataset"),
    "preprocessing": ("CIFAR10", "CIFAR10_IMAGENET_STATS", "CIFAR100", "DIGITS", "IMAGENET", "Preprocessing"),
    "registry": ("DATASETS", "open_dataset", "open_split"),
    "selection": ("DataSelection",),
    "source": ("ImageSource",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}
__all__ = [
    "CIFAR10",
    "CIFAR10_IMAGENET_STATS",
    "CIFAR100",
    "DATASETS",
    "DIGITS",
    "IMAGENET",
    "DataSelection",
    "ImageArrays",
    "ImageFolder",
    "ImageSource",
    "Preprocessing",
    "batches",
    "eval_dataset",
    "open_dataset",
    "open_split",
    "train_dataset",
]


def __getattr__(name: str) -> Any:
    """Imported when it is first asked for: files are checked without MindSpore, pictures classified in no time."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
