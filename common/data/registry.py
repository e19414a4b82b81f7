"""The data sets that a user selects by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.data import cifar10, cifar100, digits, imagenet
from common.data.class_list import LabelOrder, find_list
from common.data.selection import DataSelection
from common.data.source import ImageSource
from common.errors import ConfigError

PathLike = str | Path
_SUBSET_SEED = 0  # of the order in which training images are left out


@dataclass(frozen=True)
class _Kept:
    """A data set that is kept in a folder.

    Attributes:
        load: images of a folder and a split, labelled in an order.
        class_root: folder of the class folders of a split in a folder; None if it is of another form.
    """

    load: Callable[[Path, str, LabelOrder], ImageSource]
    class_root: Callable[[Path, str], Path | None]


_KEPT = {
    "cifar10": _Kept(cifar10.load, cifar10.class_root),
    "cifar100": _Kept(cifar100.load, cifar100.class_root),
    "imagenet": _Kept(imagenet.load, imagenet.class_root),
}
DATASETS = ("digits", *_KEPT)


def open_dataset(name: str, path: PathLike | None, split: str, classes: PathLike | None = None) -> ImageSource:
    """The training or the test images of a data set.

    Args:
        name: one of ``DATASETS``.
        path: folder of the data set; None for "digits", which is built in.
        split: "train" or "test".
        classes: file that lists the classes of class folders in label order. Without it, one that lies in the folder
            counts, then the sorted names of the training part's folders, then those of the part itself.

    Raises:
        ConfigError: an unknown name or split, or an argument that the data set needs or cannot take.
        DataError: the data set is missing or damaged.
    """
    folder, file = (None if given is None else Path(given) for given in (path, classes))
    return _opened(DataSelection(name, folder, classes=file), split)


def open_split(data: DataSelection, split: str) -> ImageSource:
    """The ``train`` or ``test`` images of a selection.

    ``train_samples`` of the former are the first of an order that is always the same, so that runs of all seeds and
    methods learn from the same images; ``num_samples`` of the latter are spread over the classes, always the same too.

    Raises:
        ConfigError, DataError: as :func:`open_dataset`; DataError also if there are fewer images than asked for.
    """
    source = _opened(data, split)
    if split == "train":
        return source.sample(data.train_samples, _SUBSET_SEED) if data.train_samples else source
    return source.spread(data.num_samples) if data.num_samples else source


def class_root(data: DataSelection, split: str) -> Path | None:
    """The folder of the class folders of a part; None if the data are of another form, or there is no such folder."""
    folder = data.folder(split)
    if data.dataset not in _KEPT or folder is None or not folder.is_dir():
        return None
    part = _KEPT[data.dataset].class_root(folder, split)
    return part if part is not None and part.is_dir() else None


def without_parts(data: DataSelection) -> Path | None:
    """The folder of the class folders that serve as training and as test images; None if each part has its own."""
    train, test = class_root(data, "train"), class_root(data, "test")
    return test if train is not None and test is not None and train.resolve() == test.resolve() else None


def label_order(data: DataSelection, split: str) -> LabelOrder:
    """Where the labels of class folders come from, see :func:`open_dataset`."""
    part = class_root(data, split)
    if part is None:
        return LabelOrder(data.classes)
    train = class_root(data, "train") if split == "test" else None
    folders = (data.folder(split), part, data.folder("train"), train)
    return LabelOrder(data.classes, find_list(*dict.fromkeys(folders)), train)


def _opened(data: DataSelection, split: str) -> ImageSource:
    name, path = data.dataset, data.folder(split)
    if name == "digits":
        if path is not None:
            raise ConfigError(f"the digits data set is built in and takes no path, found {path}; drop the path")
        LabelOrder(data.classes).refuse_list(name)
        return digits.load(split)
    if name not in _KEPT:
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    if path is None:
        raise ConfigError(f"the {name} data set needs the path of its folder, found none; give it")
    if split not in ("train", "test"):
        raise ConfigError(f"split must be train or test, found {split!r}")
    return _KEPT[name].load(path, split, label_order(data, split))
