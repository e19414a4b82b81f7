"""What the pipelines need to know of a data set."""

import hashlib
from abc import ABC, abstractmethod
from typing import TypeVar

import numpy as np

from common.data.preprocessing import Preprocessing
from common.errors import ConfigError, DataError

Self = TypeVar("Self", bound="ImageSource")
_SPREAD_SEED = 0  # of the choice among the images of a class


class ImageSource(ABC):
    """Labelled images with random access, in memory or on disk.

    Attributes:
        labels: int32 (N,), each in [0, num_classes).
        num_classes: number of classes the labels refer to.
        class_names: of these classes, in the order of the labels; None if they are not known.
    """

    labels: np.ndarray
    num_classes: int
    class_names: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.labels)

    def labels_digest(self) -> str:
        """16 hexadecimal digits of the labels' sha256: tells data sets of one size apart."""
        return hashlib.sha256(self.labels.tobytes()).hexdigest()[:16]

    @abstractmethod
    def take(self: Self, indices: np.ndarray) -> Self:
        """The images of these numbers, in this order."""

    @abstractmethod
    def relabelled(self: Self, labels: np.ndarray, num_classes: int, class_names: tuple[str, ...] | None) -> Self:
        """The same images with labels, int32 (N,), that refer to other classes."""

    @abstractmethod
    def check(self, preprocessing: Preprocessing) -> None:
        """Raise ConfigError if these images cannot be brought to the form that ``preprocessing`` declares."""

    @abstractmethod
    def eval_batch(self, indices: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Images as evaluation sees them, float32 (B, 3, S, S)."""

    @abstractmethod
    def train_batch(self, indices: np.ndarray, preprocessing: Preprocessing, seed: int, epoch: int) -> np.ndarray:
        """Augmented images, float32 (B, 3, S, S); each depends only on (seed, epoch, its index)."""

    def head(self: Self, n: int) -> Self:
        """The first ``n`` images.

        Raises:
            ConfigError: ``n`` is below 1.
            DataError: there are fewer images than ``n``.
        """
        self._check_count(n)
        return self.take(np.arange(n))

    def spread(self: Self, n: int) -> Self:
        """``n`` images, as many of each class as can be, in the order of the data set; the same ones each time.

        Raises:
            ConfigError: ``n`` is below 1.
            DataError: there are fewer images than ``n``.
        """
        self._check_count(n)
        return self.take(self._balanced(n, _SPREAD_SEED))

    def hold_out(self: Self, n: int, seed: int) -> tuple[Self, Self]:
        """All images but ``n``, and these: as many of each class as can be, both in the order of the data set.

        Args:
            n: number of images that are held out, at least one of each class.
            seed: seed of the choice, 0 or above; the same one chooses the same images.

        Raises:
            DataError: fewer images than classes are asked for, or a class would keep none.
        """
        self._check_count(n)
        _check_seed(seed)
        kept = self._balanced(n, seed)
        rest = np.setdiff1d(np.arange(len(self)), kept)
        classes = np.unique(self.labels)
        if len(np.unique(self.labels[kept])) < len(classes):
            raise DataError(f"{n} images cannot hold one of each of the {len(classes)} classes; keep more of them")
        if gone := np.setdiff1d(classes, self.labels[rest]).tolist():
            count = int((self.labels == gone[0]).sum())
            raise DataError(f"{n} images would take all {count} images of class {gone[0]}; keep fewer of them")
        return self.take(rest), self.take(kept)

    def _balanced(self, n: int, seed: int) -> np.ndarray:
        """Numbers of ``n`` images, as many of each class as can be, ascending."""
        order = np.random.default_rng(seed).permutation(len(self))
        by_class = order[np.argsort(self.labels[order], kind="stable")]
        _, starts, counts = np.unique(self.labels[by_class], return_index=True, return_counts=True)
        turns = np.empty(len(self), np.int64)  # of each image among those of its class
        turns[by_class] = np.arange(len(self)) - np.repeat(starts, counts)
        return np.sort(order[np.argsort(turns[order], kind="stable")][:n])

    def sample(self: Self, n: int, seed: int) -> Self:
        """``n`` different images in random order; with one seed, a smaller sample begins a larger one.

        Raises:
            ConfigError: ``n`` is below 1 or ``seed`` below 0.
            DataError: there are fewer images than ``n``.
        """
        self._check_count(n)
        _check_seed(seed)
        return self.take(np.random.default_rng(seed).permutation(len(self))[:n])

    def _check_count(self, n: int) -> None:
        if n < 1:
            raise ConfigError(f"the number of images must be at least 1, found {n}")
        if n > len(self):
            raise DataError(f"{n} images were asked for, the data set holds {len(self)}; ask for at most that many")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or above, found {seed}")
