"""The data sets that a user selects by name."""

from collections.abc import Callable
from pathlib import Path

from common.data import cifar10, digits, imagenet
from common.data.selection import DataSelection
from common.data.source import ImageSource
from common.errors import ConfigError

PathLike = str | Path
_SUBSET_SEED = 0  # of the order in which training images are left out


def _open_digits(path: PathLike | None, split: str, wnids: PathLike | None) -> ImageSource:
    if path is not None:
        raise ConfigError(f"the digits data set is built in and takes no path, found {path}; drop the path")
    _refuse_wnids("digits", wnids)
    return digits.load(split)


def _open_cifar10(path: PathLike | None, split: str, wnids: PathLike | None) -> ImageSource:
    _refuse_wnids("cifar10", wnids)
    return cifar10.load(_given("cifar10", path), split)


def _open_imagenet(path: PathLike | None, split: str, wnids: PathLike | None) -> ImageSource:
    return imagenet.load(_given("imagenet", path), split, wnids)


DATASETS: dict[str, Callable[[PathLike | None, str, PathLike | None], ImageSource]] = {
    "digits": _open_digits,
    "cifar10": _open_cifar10,
    "imagenet": _open_imagenet,
}


def open_dataset(name: str, path: PathLike | None, split: str, wnids: PathLike | None = None) -> ImageSource:
    """The training or the test images of a data set.

    Args:
        name: one of ``DATASETS``.
        path: folder of the data set; None for "digits", which is built in.
        split: "train" or "test".
        wnids: for "imagenet", the file that lists the class names in label order.

    Raises:
        ConfigError: an unknown name or split, or an argument that the data set needs or cannot take.
        DataError: the data set is missing or damaged.
    """
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name](path, split, wnids)


def open_split(data: DataSelection, split: str) -> ImageSource:
    """The ``train`` or ``test`` images of a selection.

    ``train_samples`` of the former are the first of an order that is always the same, so that runs of all seeds and
    methods learn from the same images; ``num_samples`` of the latter are the first there are.

    Raises:
        ConfigError, DataError: as :func:`open_dataset`; DataError also if there are fewer images than asked for.
    """
    source = open_dataset(data.dataset, data.folder(split), split, data.wnids)
    if split == "train":
        return source.sample(data.train_samples, _SUBSET_SEED) if data.train_samples else source
    return source.head(data.num_samples) if data.num_samples else source


def _given(name: str, path: PathLike | None) -> PathLike:
    if path is None:
        raise ConfigError(f"the {name} data set needs the path of its folder, found none; give it")
    return path


def _refuse_wnids(name: str, wnids: PathLike | None) -> None:
    if wnids is not None:
        raise ConfigError(f"a list of class ids belongs to imagenet, found {wnids} with {name}; drop the list")
