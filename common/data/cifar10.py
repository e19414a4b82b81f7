"""CIFAR-10 from any of the forms it is kept in, with any number of images in a file.

==================================  =======================================================================
form                                what ``load`` looks for in ``path``
==================================  =======================================================================
binary, both official folders       ``cifar-10-batches-bin/data_batch_*.bin``, ``cifar-10-verify-bin/test_batch.bin``
binary, one folder                  ``data_batch_*.bin`` for "train", ``test_batch.bin`` for "test"
Python release                      ``data_batch_*`` or ``test_batch``, here or in ``cifar-10-batches-py``
folders of images                   ``train/<class>/*.png``, ``test/<class>/*.png``, or ``<class>/*.png`` itself
==================================  =======================================================================

The first form found, in this order, is read. The files are numbered from 1 and none may be missing in between.
"""

import re
from pathlib import Path

import numpy as np

from common.data import cifar10_pickle, class_folders, image_file, layout
from common.data.arrays import ImageArrays
from common.errors import ConfigError, DataError

NUM_CLASSES = 10
SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE
# Suffix and folders of each form.
_FILES = {"binary": (".bin", "cifar-10-batches-bin", "cifar-10-verify-bin"), "python": ("", "cifar-10-batches-py")}

Part = tuple[np.ndarray, np.ndarray]


def load(path: str | Path, split: str) -> ImageArrays:
    """Read the training or the test images.

    Args:
        path: a folder of one of the forms above.
        split: "train" or "test".

    Raises:
        ConfigError: another ``split``.
        DataError: nothing is found, or a file is damaged; the message names the file.
    """
    if split not in ("train", "test"):
        raise ConfigError(f"split must be train or test, found {split!r}")
    root = class_folders.existing_folder(path)
    if files := _files(root, split, *_FILES["binary"]):
        return _join([_checked(file, *_parse_binary(_read(file), file)) for file in files])
    if files := _files(root, split, *_FILES["python"]):
        return _join([_checked(file, *cifar10_pickle.parse(_read(file), file)) for file in files])
    if folder := _image_root(root, split):
        return _read_class_folders(folder)
    if missing := layout.missing_part(root, split, split):
        raise DataError(missing)
    raise DataError(_nothing_found(root, split))


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


def holds_files(root: Path, split: str) -> bool:
    """Whether the folder holds files of the split that are no images."""
    return any(_files(root, split, *where) for where in _FILES.values())


def _check_numbers(folder: Path, numbers: list[int], suffix: str) -> None:
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            missing = folder / f"data_batch_{expected}{suffix}"
            raise DataError(f"{missing}: expected beside data_batch_{numbers[-1]}{suffix}, found nothing; restore it")


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise DataError(f"{file}: expected a file, found a folder, a device or a broken link")
    try:
        return file.read_bytes()
    except (OSError, MemoryError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error


def _parse_binary(raw: bytes, file: Path) -> Part:
    """Records of one label byte, then 1024 red, 1024 green and 1024 blue bytes, row by row."""
    if len(raw) % _RECORD:
        raise DataError(f"{file}: expected a multiple of {_RECORD} bytes, found {len(raw)}; download it again")
    records = np.frombuffer(raw, np.uint8).reshape(-1, _RECORD)
    return records[:, 1:].reshape(-1, 3, SIDE, SIDE), records[:, 0]


def _checked(file: Path, images: np.ndarray, labels: np.ndarray) -> Part:
    """The images as (N, H, W, C) with int32 labels.

    Raises:
        DataError: there is no image, or a label is out of range.
    """
    if not len(labels):
        raise DataError(f"{file}: expected at least one image, found none")
    wrong = np.flatnonzero((labels < 0) | (labels >= NUM_CLASSES))
    if len(wrong):
        raise DataError(f"{file}: image {wrong[0]} has label {labels[wrong[0]]}, expected 0 to 9; download it again")
    return images.transpose(0, 2, 3, 1), labels.astype(np.int32)


def _join(parts: list[Part]) -> ImageArrays:
    images, labels = (np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*parts))
    return ImageArrays(images, labels, NUM_CLASSES)


def _image_root(root: Path, split: str) -> Path | None:
    if (root / split).is_dir():
        return root / split
    return root if class_folders.holds_classes(root) else None


def _read_class_folders(root: Path) -> ImageArrays:
    """Label = index of the sorted folder name, which for the official class names is the official label."""
    classes = class_folders.list_classes(root)
    if len(classes) != NUM_CLASSES:
        names = ", ".join(folder.name for folder, _ in classes[: NUM_CLASSES + 1])
        raise DataError(f"{root}: expected {NUM_CLASSES} class folders, found {len(classes)}: {names}")
    images = np.stack([_pixels(file) for _, files in classes for file in files])
    labels = np.repeat(np.arange(NUM_CLASSES, dtype=np.int32), [len(files) for _, files in classes])
    return ImageArrays(images, labels, NUM_CLASSES)


def _pixels(file: Path) -> np.ndarray:
    return np.asarray(image_file.read_rgb(file, (SIDE, SIDE)))


def _nothing_found(root: Path, split: str) -> str:
    found = ", ".join(entry.name for entry in class_folders.content(root)[:8]) or "nothing"
    name = "data_batch_1" if split == "train" else "test_batch"
    return (
        f"{root}: no CIFAR-10 {split} images: expected {name}.bin, {name} of the Python release "
        f"or {split}/<class>/*.png, found {found}{layout.hint(root)}; give the folder that holds them"
    )
