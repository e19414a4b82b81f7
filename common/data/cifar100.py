"""CIFAR-100 with its 100 fine labels, from any of the forms it is kept in.

==================================  =======================================================================
form                                what ``load`` looks for in ``path``
==================================  =======================================================================
binary                              ``train.bin`` or ``test.bin``, here or in ``cifar-100-binary``
Python release                      ``train`` or ``test``, here or in ``cifar-100-python``
folders of images                   as of CIFAR-10, see :mod:`common.data.cifar10`
==================================  =======================================================================
"""

from pathlib import Path

from common.data import cifar10, cifar10_pickle, class_folders
from common.data.arrays import ImageArrays
from common.data.class_list import LabelOrder
from common.errors import ConfigError, DataError

_LABEL_BYTES = 2  # coarse, fine
_SORTED = LabelOrder()


def load(path: str | Path, split: str, order: LabelOrder = _SORTED) -> ImageArrays:
    """Read the training or the test images.

    Args:
        path: a folder of one of the forms above.
        split: "train" or "test".
        order: where the labels of class folders come from; the other forms have their own.

    Raises:
        ConfigError: another ``split``, or a list of classes for files that have their own.
        DataError: nothing is found, or a file is damaged; the message names the file.
    """
    if split not in ("train", "test"):
        raise ConfigError(f"split must be train or test, found {split!r}")
    root = class_folders.existing_folder(path)
    if file := _binary_file(root, split):
        part = cifar10.parse_binary(cifar10.read(file), file, _LABEL_BYTES)
    elif file := _python_file(root, split):
        part = cifar10_pickle.parse(cifar10.read(file), file, "fine_labels")
    elif folder := cifar10.image_root(root, split):
        return cifar10.read_class_folders(folder, order)
    else:
        content = ", ".join(entry.name for entry in class_folders.content(root)[:8]) or "nothing"
        raise DataError(
            f"{root}: no CIFAR-100 {split} images: expected {split}.bin, {split} of the Python release or "
            f"{split}/<class>/*.png, found {content}; give the folder that holds them"
        )
    order.refuse_list(file)
    return cifar10.joined("cifar100", [file], [part])


def class_root(root: Path, split: str) -> Path | None:
    """The folder of the class folders that :func:`load` reads; None if it reads another form or finds nothing."""
    return None if _binary_file(root, split) or _python_file(root, split) else cifar10.image_root(root, split)


def _binary_file(root: Path, split: str) -> Path | None:
    return _file(root / "cifar-100-binary" / f"{split}.bin", root / f"{split}.bin")


def _python_file(root: Path, split: str) -> Path | None:
    return _file(root / "cifar-100-python" / split, root / split)


def _file(*places: Path) -> Path | None:
    """The first that is there and no folder."""
    return next((place for place in places if place.exists() and not place.is_dir()), None)
