"""ImageNet, or any data set of the same form: one folder of image files for each class.

Images are decoded when a batch asks for them, on several threads (Pillow's decoder and resizing leave the
interpreter free).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.data import class_folders, draws, image_file, layout, transforms
from common.data.class_list import LabelOrder
from common.data.preprocessing import Preprocessing
from common.data.source import ImageSource
from common.data.views import CentralView, RandomView, View
from common.distributed import processors
from common.errors import ConfigError, DataError

_FOLDERS = {"train": "train", "test": "val"}
_SORTED = LabelOrder()
_DRAWS = transforms.RESIZED_CROP_DRAWS + 1


def load(path: str | Path, split: str, order: LabelOrder = _SORTED) -> "ImageFolder":
    """The images of ``path/train`` or ``path/val`` ("test"), or of ``path`` itself if it has neither folder.

    Args:
        path: of the data set.
        split: "train" or "test".
        order: where the labels come from; by default the label is the index of the sorted folder name.

    Raises:
        ConfigError: ``split`` is neither "train" nor "test".
        DataError: a folder is absent, empty or of no known class, or the list of classes is damaged.
    """
    if split not in _FOLDERS:
        raise ConfigError(f"split must be train or test, found {split!r}")
    folder = class_folders.existing_folder(path)
    root = class_root(folder, split)
    if root != folder and (missing := layout.missing_part(folder, _FOLDERS[split], split)):
        raise DataError(missing)
    classes, known = class_folders.list_classes(class_folders.existing_folder(root)), order.of_folders(root)
    files, labels = zip(*((str(file), known.by_folder[folder.name]) for folder, files in classes for file in files))
    return ImageFolder(files, np.array(labels, np.int32), len(known.names), known.names)


def class_root(root: Path, split: str) -> Path:
    """The folder of a part's class folders."""
    parts = any((root / name).is_dir() for name in _FOLDERS.values())
    return root / _FOLDERS[split] if parts else root


@dataclass(frozen=True, eq=False)
class ImageFolder(ImageSource):
    """Image files of any size.

    Attributes:
        files: N paths.
        labels: int32 (N,), each in [0, num_classes).
        num_classes: number of classes the labels refer to.
        class_names: of these classes, or None.
    """

    files: tuple[str, ...]
    labels: np.ndarray
    num_classes: int
    class_names: tuple[str, ...] | None = None

    def take(self, indices: np.ndarray) -> "ImageFolder":
        """The images of these numbers, in this order."""
        return replace(self, files=tuple(self.files[i] for i in indices), labels=self.labels[indices])

    def relabelled(self, labels: np.ndarray, num_classes: int, class_names: tuple[str, ...] | None) -> "ImageFolder":
        """The same images with labels that refer to other classes."""
        return replace(self, labels=labels, num_classes=num_classes, class_names=class_names)

    def check(self, preprocessing: Preprocessing) -> None:
        """Raise ConfigError unless ``preprocessing`` brings images of any size to one."""
        if preprocessing.resize is None or preprocessing.crop_padding:
            raise ConfigError(
                "image folders need preprocessing.resize and crop_padding 0, "
                f"found {preprocessing.resize} and {preprocessing.crop_padding}"
            )

    def eval_batch(self, indices: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Shorter side resized, centre cropped, normalised: float32 (B, 3, S, S)."""
        return self._decode(indices, preprocessing, [CentralView(preprocessing)] * len(indices))

    def train_batch(self, indices: np.ndarray, preprocessing: Preprocessing, seed: int, epoch: int) -> np.ndarray:
        """A random part of each image, resized, mirrored or not, normalised: float32 (B, 3, S, S)."""
        numbers = draws.uniform(seed, epoch, indices, _DRAWS)
        return self._decode(indices, preprocessing, [RandomView(preprocessing, row) for row in numbers])

    def _decode(self, indices: np.ndarray, preprocessing: Preprocessing, views: Sequence[View]) -> np.ndarray:
        """What each image's view gives, normalised; every image by one thread, so that none waits for the last."""
        side = preprocessing.image_size
        result = np.empty((len(indices), 3, side, side), np.float32)

        def fill(place: int) -> None:
            view = views[place]
            decoded = image_file.read(self.files[indices[place]], enough=view.enough)
            pixels = np.asarray(view.of(decoded.image, decoded.whole))
            preprocessing.normalize(pixels[None], result[place : place + 1])

        with ThreadPoolExecutor(processors.count()) as pool:
            for _ in pool.map(fill, range(len(indices))):  # the first failure in the order of the batch is raised
                pass
        return result
