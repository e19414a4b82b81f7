"""ImageNet, or any data set of the same form: one folder of image files for each class.

Images are decoded when a batch asks for them, on several threads (Pillow's decoder and resizing leave the
interpreter free).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from common.data import class_folders, draws, image_file, layout, transforms
from common.data.preprocessing import Preprocessing
from common.data.source import ImageSource
from common.errors import ConfigError, DataError

_FOLDERS = {"train": "train", "test": "val"}
_DRAWS = transforms.RESIZED_CROP_DRAWS + 1


def index(path: str | Path, wnids: str | Path | None = None) -> list[tuple[str, int]]:
    """Every image file under the class folders of ``path`` with its label, in the order of the sorted names.

    Args:
        path: the folder that holds one folder for each class.
        wnids: text file with one folder name (WordNet id) a line; the label is the index of the line. Without it the
            label is the index of the sorted folder name, which is right only if every class has its folder.

    Raises:
        DataError: a folder is empty or not in the list, or the list is damaged.
    """
    classes = class_folders.list_classes(class_folders.existing_folder(path))
    names = read_wnids(wnids) if wnids is not None else [folder.name for folder, _ in classes]
    labels = {name: label for label, name in enumerate(names)}
    for folder, _ in classes:
        if folder.name not in labels:
            raise DataError(
                f"{folder}: expected the name of a class in {wnids} ({len(names)} names); remove the folder"
            )
    return [(str(file), labels[folder.name]) for folder, files in classes for file in files]


def read_wnids(file: str | Path) -> list[str]:
    """The first word of each line; what follows it, such as the words of the class, is ignored.

    Raises:
        DataError: the file cannot be read, is empty, has an empty line or the same name twice.
    """
    try:
        lines = Path(file).read_text("utf-8").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a text file with one class name a line ({error})") from error
    names = [line.split()[0] if line.strip() else "" for line in lines]
    if not names or "" in names or len(set(names)) < len(names):
        raise DataError(f"{file}: expected one different class name on each line, found an empty or a repeated one")
    return names


def load(path: str | Path, split: str, wnids: str | Path | None = None) -> "ImageFolder":
    """The images of ``path/train`` or ``path/val`` ("test"), or of ``path`` itself if it has neither folder.

    Raises:
        ConfigError: ``split`` is neither "train" nor "test".
        DataError: see :func:`index`.
    """
    if split not in _FOLDERS:
        raise ConfigError(f"split must be train or test, found {split!r}")
    root = class_folders.existing_folder(path)
    if any((root / name).is_dir() for name in _FOLDERS.values()):
        if missing := layout.missing_part(root, _FOLDERS[split], split):
            raise DataError(missing)
        root = class_folders.existing_folder(root / _FOLDERS[split])
    files, labels = zip(*index(root, wnids))
    num_classes = len(set(labels)) if wnids is None else len(read_wnids(wnids))
    return ImageFolder(files, np.array(labels, np.int32), num_classes)


@dataclass(frozen=True, eq=False)
class ImageFolder(ImageSource):
    """Image files of any size.

    Attributes:
        files: N paths.
        labels: int32 (N,), each in [0, num_classes).
        num_classes: number of classes the labels refer to.
    """

    files: tuple[str, ...]
    labels: np.ndarray
    num_classes: int

    def take(self, indices: np.ndarray) -> "ImageFolder":
        """The images of these numbers, in this order."""
        return ImageFolder(tuple(self.files[i] for i in indices), self.labels[indices], self.num_classes)

    def check(self, preprocessing: Preprocessing) -> None:
        """Raise ConfigError unless ``preprocessing`` brings images of any size to one."""
        if preprocessing.resize is None or preprocessing.crop_padding:
            raise ConfigError(
                "image folders need preprocessing.resize and crop_padding 0, "
                f"found {preprocessing.resize} and {preprocessing.crop_padding}"
            )

    def eval_batch(self, indices: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Shorter side resized, centre cropped, normalised: float32 (B, 3, S, S)."""

        def view(image: Image.Image, _: np.ndarray) -> Image.Image:
            size, resampling = preprocessing.resize or preprocessing.image_size, preprocessing.resampling
            resized = transforms.resize_shorter_side(image, size, resampling)
            return transforms.center_crop(resized, preprocessing.image_size)

        return preprocessing.normalize(self._decode(indices, view, np.empty((len(indices), 0))))

    def train_batch(self, indices: np.ndarray, preprocessing: Preprocessing, seed: int, epoch: int) -> np.ndarray:
        """A random part of each image, resized, mirrored or not, normalised: float32 (B, 3, S, S)."""

        def view(image: Image.Image, numbers: np.ndarray) -> Image.Image:
            part = transforms.random_resized_crop(
                image, numbers[:-1], preprocessing.image_size, preprocessing.resampling
            )
            mirrored = preprocessing.flip and numbers[-1] < 0.5
            return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part

        return preprocessing.normalize(self._decode(indices, view, draws.uniform(seed, epoch, indices, _DRAWS)))

    def _decode(
        self, indices: np.ndarray, view: Callable[[Image.Image, np.ndarray], Image.Image], numbers: np.ndarray
    ) -> np.ndarray:
        """``view`` of each image with its row of ``numbers``, uint8 (B, S, S, 3)."""

        def pixels(file: str, row: np.ndarray) -> np.ndarray:
            return np.asarray(view(image_file.read_rgb(file), row))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(pixels, [self.files[i] for i in indices], numbers)))
