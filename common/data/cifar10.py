"""CIFAR-10 from any of the forms it is kept in, with any number of images in a file.

==================================  =======================================================================
form                                what ``load`` looks for in ``path``
==================================  =======================================================================
binary, both official folders       ``cifar-10-batches-bin/data_batch_*.bin``, ``cifar-10-verify-bin/test_batch.bin``
binary, one folder                  ``data_batch_*.bin`` for "train", ``test_batch.bin`` for "test"
Python release                      ``data_batch_*`` or ``test_batch``, here or in ``cifar-10-batches-py``
folders of images                   ``train/<class>/*.png``, ``test/<class>/*.png``, or ``<class>/*.png`` itself
==================================  =======================================================================

The first form found, in this order, is read. The files are numbered from 1 and none may be missing in between. Folders
may be of any classes; their names say which, see :mod:`common.data.class_list`.
"""

import re
from pathlib import Path

import numpy as np

from common.data import cifar10_pickle, class_folders
from common.data.arrays import ImageArrays
from common.data.class_list import LabelOrder
from common.data.class_names import FIXED_NAMES
from common.errors import ConfigError, DataError

SIDE = 32
_PIXELS = 3 * SIDE * SIDE
_SORTED = LabelOrder()

Part = tuple[np.ndarray, np.ndarray]


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
    if files := _binary_files(root, split):
        parts = [parse_binary(read(file), file) for file in files]
    elif files := _python_files(root, split):
        parts = [cifar10_pickle.parse(read(file), file) for file in files]
    elif folder := image_root(root, split):
        return read_class_folders(folder, order)
    else:
        raise DataError(_nothing_found(root, split))
    order.refuse_list(files[0])
    return joined("cifar10", files, parts)


def class_root(root: Path, split: str) -> Path | None:
    """The folder of the class folders that :func:`load` reads; None if it reads another form or finds nothing."""
    return None if _binary_files(root, split) or _python_files(root, split) else image_root(root, split)


def _binary_files(root: Path, split: str) -> list[Path]:
    return _files(root, split, ".bin", "cifar-10-batches-bin", "cifar-10-verify-bin")


def _python_files(root: Path, split: str) -> list[Path]:
    return _files(root, split, "", "cifar-10-batches-py")


def _files(root: Path, split: str, suffix: str, *folders: str) -> list[Path]:
    """The files of the split in the first of the folders, then ``root`` itself, that has any."""
    pattern = re.compile(("data_batch_([0-9]+)" if split == "train" else "test_batch()") + re.escape(suffix))
    for folder in (*(root / name for name in folders if (root / name).is_dir()), root):
        found = [match for entry in class_folders.content(folder) if (match := pattern.fullmatch(entry.name))]
        if found:
            numbers = sorted((int(match[1] or 1), match[0]) for match in found)
            _check_numbers(folder, [number for number, _ in numbers], suffix)
            return [folder / name for _, name in numbers]
    return []


def _check_numbers(folder: Path, numbers: list[int], suffix: str) -> None:
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            missing = folder / f"data_batch_{expected}{suffix}"
            raise DataError(f"{missing}: expected beside data_batch_{numbers[-1]}{suffix}, found nothing; restore it")


def read(file: Path) -> bytes:
    """The content of a regular file.

    Raises:
        DataError: it is none, or cannot be read.
    """
    if not file.is_file():
        raise DataError(f"{file}: expected a file, found a folder, a device or a broken link")
    try:
        return file.read_bytes()
    except (OSError, MemoryError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error


def parse_binary(raw: bytes, file: Path, label_bytes: int = 1) -> Part:
    """Records of labels, the last of which counts, then 1024 red, 1024 green and 1024 blue bytes, row by row.

    Raises:
        DataError: the content is no whole number of records.
    """
    record = label_bytes + _PIXELS
    if len(raw) % record:
        raise DataError(f"{file}: expected a multiple of {record} bytes, found {len(raw)}; download it again")
    records = np.frombuffer(raw, np.uint8).reshape(-1, record)
    return records[:, label_bytes:].reshape(-1, 3, SIDE, SIDE), records[:, label_bytes - 1]


def _checked(file: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> Part:
    """The images as (N, H, W, C) with int32 labels.

    Raises:
        DataError: there is no image, or a label is out of range.
    """
    if not len(labels):
        raise DataError(f"{file}: expected at least one image, found none")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        expected = f"expected 0 to {classes - 1}; download it again"
        raise DataError(f"{file}: image {wrong[0]} has label {labels[wrong[0]]}, {expected}")
    return images.transpose(0, 2, 3, 1), labels.astype(np.int32)


def joined(dataset: str, files: list[Path], parts: list[Part]) -> ImageArrays:
    """The images of all files of a data set, (N, 3, 32, 32) each, with its class names.

    Raises:
        DataError: a file has no image, or a label that is out of range.
    """
    names = FIXED_NAMES[dataset]
    parts = [_checked(file, *part, len(names)) for file, part in zip(files, parts)]
    images, labels = (np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*parts))
    return ImageArrays(images, labels, len(names), names)


def image_root(root: Path, split: str) -> Path | None:
    """The folder of the class folders of a part; None if there are none."""
    if (root / split).is_dir():
        return root / split
    return root if class_folders.holds_classes(root) else None


def read_class_folders(root: Path, order: LabelOrder) -> ImageArrays:
    """The images of class folders; without a list, the official class names give the official labels.

    Raises:
        DataError: a folder without images or of no known class, or a damaged image.
    """
    classes = class_folders.list_classes(root)
    known = order.of_folders(root)
    images = np.stack([_pixels(file) for _, files in classes for file in files])
    numbers = np.array([known.by_folder[folder.name] for folder, _ in classes], np.int32)
    labels = np.repeat(numbers, [len(files) for _, files in classes])
    return ImageArrays(images, labels, len(known.names), known.names)


def _pixels(file: Path) -> np.ndarray:
    return np.asarray(class_folders.read_rgb(file, (SIDE, SIDE)))


def _nothing_found(root: Path, split: str) -> str:
    found = ", ".join(entry.name for entry in class_folders.content(root)[:8]) or "nothing"
    name = "data_batch_1" if split == "train" else "test_batch"
    return (
        f"{root}: no CIFAR-10 {split} images: expected {name}.bin, {name} of the Python release "
        f"or {split}/<class>/*.png, found {found}; give the folder that holds them"
    )
