"""A data set that fits in memory."""

from dataclasses import dataclass, replace

import numpy as np

from common.data import draws, transforms
from common.data.preprocessing import Preprocessing
from common.data.source import ImageSource
from common.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class ImageArrays(ImageSource):
    """Labelled RGB images of one size.

    Attributes:
        images: uint8 (N, H, W, 3), N at least 1.
        labels: int32 (N,), each in [0, num_classes).
        num_classes: at least 1.
        class_names: as many names as classes, or None.

    Raises:
        DataError: an array has another type or shape, or a label is out of range.
    """

    images: np.ndarray
    labels: np.ndarray
    num_classes: int
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _expect("images", self.images, np.uint8, "(N, H, W, 3)", self.images.ndim == 4 and self.images.shape[-1] == 3)
        _expect("labels", self.labels, np.int32, f"({len(self.images)},)", self.labels.shape == self.images.shape[:1])
        if not len(self.labels):
            raise DataError("the data set holds no image, expected at least 1")
        if self.labels.min() < 0 or self.labels.max() >= self.num_classes:
            found = f"{self.labels.min()} to {self.labels.max()}"
            raise DataError(f"labels must be 0 to {self.num_classes - 1}, found {found}")
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise DataError(f"expected names of {self.num_classes} classes, found {len(self.class_names)}")

    def take(self, indices: np.ndarray) -> "ImageArrays":
        """The images of these numbers, in this order."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def relabelled(self, labels: np.ndarray, num_classes: int, class_names: tuple[str, ...] | None) -> "ImageArrays":
        """The same images with labels that refer to other classes."""
        return replace(self, labels=labels, num_classes=num_classes, class_names=class_names)

    def check(self, preprocessing: Preprocessing) -> None:
        """Raise ConfigError unless ``preprocessing`` keeps the size of the images."""
        size, (height, width) = preprocessing.image_size, self.images.shape[1:3]
        if (height, width) != (size, size):
            raise ConfigError(f"the images are {width}x{height}, the preprocessing declares image_size {size}")
        if preprocessing.resize is not None:
            raise ConfigError(
                f"images in memory are not resized: set preprocessing.resize {preprocessing.resize} to null"
            )

    def eval_batch(self, indices: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Normalised images, float32 (B, 3, H, W)."""
        return preprocessing.normalize(self.images[indices])

    def train_batch(self, indices: np.ndarray, preprocessing: Preprocessing, seed: int, epoch: int) -> np.ndarray:
        """Randomly shifted and mirrored, then normalised images, float32 (B, 3, H, W)."""
        numbers = draws.uniform(seed, epoch, indices, transforms.CROP_AND_FLIP_DRAWS)
        images = transforms.crop_and_flip(self.images[indices], numbers, preprocessing.crop_padding, preprocessing.flip)
        return preprocessing.normalize(images)


def _expect(name: str, array: np.ndarray, dtype: type, shape: str, fits: bool) -> None:
    if array.dtype != dtype or not fits:
        raise DataError(f"{name} must be {np.dtype(dtype)} {shape}, found {array.dtype} {array.shape}")
