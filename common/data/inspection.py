"""All images of a data folder, read once to see whether they can be."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from common.data import cifar10, cifar100, class_folders, folder_content, image_file, layout
from common.data.arrays import ImageArrays
from common.errors import DataError

_AT_ONCE = 1024  # so that millions of files do not wait in the pool's queue
_CIFAR_SIZE = (cifar10.SIDE, cifar10.SIDE)


@dataclass(frozen=True, eq=False)
class Part:
    """Training or test images as they lie there.

    Attributes:
        name: ``train``, ``test``, or ``data`` if the folder has no parts.
        folder: of the images.
        classes: image files of each class folder.
        arrays: images of CIFAR's own files, in place of ``classes``.
    """

    name: str
    folder: Path
    classes: dict[str, list[Path]] = field(default_factory=dict)
    arrays: ImageArrays | None = None

    def __len__(self) -> int:
        return len(self.arrays) if self.arrays else sum(map(len, self.classes.values()))


@dataclass(frozen=True, eq=False)
class Inspection:
    """What the images of a part are.

    Attributes:
        part: that was read.
        counts: images of each class.
        modes: images in each of Pillow's modes.
        remarks: on images that can be read.
        faults: a line for each image that cannot, and for each class without images.
        digests: of the pixels, to compare parts by.
    """

    part: Part
    counts: dict[str, int]
    modes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    digests: set[bytes] = field(default_factory=set)


def parts(root: Path) -> list[Part]:
    """The parts of a folder in any of the forms that the data sets have.

    Raises:
        DataError: there are none, or a file of CIFAR-10 is damaged.
    """
    root = class_folders.existing_folder(root)
    folders = {name: folder for name in ("train", "test") if (folder := _part_folder(root, name))}
    if not folders and folder_content.class_folders(root) and not _of_cifar(root):
        folders = {"data": root}
    if folders:
        return [_of_folder(name, folder) for name, folder in folders.items()]
    if reader := _of_cifar(root):
        return [Part(split, root, arrays=reader.load(root, split)) for split in ("train", "test")]
    raise DataError(f"{root}: expected one folder of images for each class, {layout.without_classes(root)}")


def _part_folder(root: Path, name: str) -> Path | None:
    """The folder of a part; not that of a class which is called ``train``."""
    folder = layout.other_name(root, name)
    names = [entry.name for entry in folder_content.class_folders(root)]
    is_part = folder and (folder_content.class_folders(folder) or layout.are_parts(names))
    return folder if is_part else None


def _of_cifar(root: Path) -> ModuleType | None:
    """The reader of CIFAR's own files that lie in the folder; None if there are none."""
    readers = (cifar10, cifar100)
    return next((each for each in readers if any(each.holds_files(root, split) for split in ("train", "test"))), None)


def _of_folder(name: str, folder: Path) -> Part:
    classes = {entry.name: folder_content.image_files(entry) for entry in folder_content.class_folders(folder)}
    if not classes:
        raise DataError(f"{folder}: expected one folder of images for each class, {layout.without_classes(folder)}")
    return Part(name, folder, classes)


def inspect(part: Part, small: bool, tick: Callable[[int], object]) -> Inspection:
    """Read all images of a part.

    Args:
        part: of :func:`parts`.
        small: whether images must have the size of CIFAR-10's.
        tick: told how many more were read.
    """
    if part.arrays:
        return _of_arrays(part, part.arrays, tick)
    empty = [part.folder / name for name, files in part.classes.items() if not files]
    result = Inspection(part, {name: len(files) for name, files in part.classes.items()})
    result.faults.extend(f"{folder}: expected image files, {layout.without_images(folder)}" for folder in empty)
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # each file's, where Python shows the same text once
        for file, read in _read_all(part, _CIFAR_SIZE if small else None):
            tick(1)
            if isinstance(read, DataError):
                result.faults.append(str(read))
                continue
            mode, remarks, digest = read
            result.modes[mode] += 1
            result.remarks.extend(f"{file}: {remark}" for remark in remarks)
            result.digests.add(digest)
    return result


Read = tuple[str, tuple[str, ...], bytes] | DataError


def _read_all(part: Part, size: tuple[int, int] | None) -> Iterator[tuple[Path, Read]]:
    def read(file: Path) -> Read:
        try:
            decoded = image_file.decode(file, size)
        except DataError as error:
            return error
        return decoded.mode, decoded.remarks, _digest(decoded.image.tobytes())

    files = [file for listed in part.classes.values() for file in listed]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            yield from zip(some, pool.map(read, some))


def _of_arrays(part: Part, arrays: ImageArrays, tick: Callable[[int], object]) -> Inspection:
    names = arrays.class_names or tuple(map(str, range(arrays.num_classes)))
    counts = Counter(arrays.labels.tolist())
    tick(len(arrays))
    modes, digests = Counter({"RGB": len(arrays)}), {_digest(image.tobytes()) for image in arrays.images}
    return Inspection(part, {name: counts[label] for label, name in enumerate(names)}, modes, digests=digests)


def _digest(pixels: bytes) -> bytes:
    return hashlib.blake2b(pixels, digest_size=16).digest()


def skipped(part: Part) -> str | None:
    """How many files of the class folders are no images, in words; None if there are none."""
    others = class_folders.skipped(part.folder) if part.classes else []
    return class_folders.skipped_line(others) if others else None
