"""Quantized networks without MindSpore: one file, one small library, NumPy, and Pillow for pictures.

    network = lowbitzoo.runtime.load("resnet20.lowbit")
    network.predict(["a.png", "b.jpg"])     # numbers of the classes, (N,)
    network.logits(pixels)                  # (N, K) of uint8 pixels (N, H, W, 3)

Files come from ``export.py --format lowbit`` of every method. Logits are those of the integer engine inside MindSpore
bit for bit, whatever the processor, the batch and the threads.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from common.data.class_names import words
from common.data.image_file import read_rgb
from common.data.preprocessing import Preprocessing
from common.data.transforms import center_crop, resize_shorter_side
from common.distributed import processors
from common.engine.about import About
from common.engine.opened import OpenedFile, read
from common.errors import ConfigError, DataError

_AT_ONCE = 64  # images that are decoded and normalised together
Images = Any  # files or pictures, pixels uint8 (N, H, W, 3), or what Preprocessing.normalize makes of them


def load(file: str | os.PathLike, threads: int | None = None) -> "Network":
    """A network from a file that ``export.py --format lowbit`` wrote.

    Args:
        file: its path.
        threads: that compute at most: each some of the images, or a part of every layer where there are fewer images
            than threads; None: as many as this process may use.

    Raises:
        ConfigError: the file is missing, damaged or of a newer version, or threads are not a number from 1 up.
    """
    return Network(read(file), threads)


class Network:
    """A network that is ready to compute; any number of threads may use it at the same time.

    Args:
        opened: the file.
        threads: as of :func:`load`.
    """

    def __init__(self, opened: OpenedFile, threads: int | None = None):
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise ConfigError(f"threads: expected a whole number from 1 up, found {threads!r}")
        self._opened = opened
        self._threads = threads or processors.count()

    @property
    def about(self) -> About:
        """What the file says: architecture, method, preprocessing, accuracy with its N, names of the classes."""
        return self._opened.about

    @property
    def threads(self) -> int:
        """That compute at most."""
        return self._threads

    @property
    def num_classes(self) -> int:
        """K, the number of logits of an image."""
        return self._opened.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """For people, in the order of the labels; numbers where the file has no names."""
        return tuple(map(words, self.about.class_names)) or tuple(map(str, range(self.num_classes)))

    @property
    def instructions(self) -> str:
        """Instruction set that computes: ``vnni``, ``avx2`` or ``plain``."""
        return self._opened.instructions

    @property
    def memory(self) -> int:
        """Bytes that a run takes at most, with the network, besides images and results."""
        images = _AT_ONCE * 4 * int(np.prod(self._opened.shape))
        return self._opened.nbytes + self._threads * self._opened.thread_nbytes + images

    @property
    def multiply_adds(self) -> int:
        """Of an image."""
        return self._opened.multiply_adds

    def predict(self, images: Images) -> np.ndarray:
        """Numbers of the classes of the largest logits, int64 (N,), the first of equal ones; images as of `logits`."""
        return self.logits(images).argmax(1)

    def top(self, images: Images, count: int = 5) -> list[list[tuple[str, float]]]:
        """Names and probabilities of each image's most likely classes, the likeliest first; images as of `logits`."""
        logits = self.logits(images).astype(np.float64)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        order, names = np.argsort(-logits, axis=1, kind="stable")[:, :count], self.class_names
        return [[(names[i], float(row[i])) for i in best] for row, best in zip(shares, order)]

    def logits(self, images: Images) -> np.ndarray:
        """Logits float32 (N, K).

        Args:
            images: a sequence of files or of Pillow's images; or pixels, uint8 (N, H, W, 3); or float32 (N, 3, H, W)
                that is normalised already.

        Raises:
            ConfigError: an array of another shape or type.
            DataError: a picture that cannot be read, or of a size that the network does not take.
        """
        return self._results(images)[:, : self.num_classes]

    def choices(self, images: Images) -> np.ndarray:
        """Of networks whose images choose (DynamicQuant): numbers of the candidates, int64 (N, L); images as before."""
        return self._results(images)[:, self.num_classes :].astype(np.int64)

    def _results(self, images: Images) -> np.ndarray:
        results = [self._opened.run(part, self._threads) for part in self._normalised(images)]
        empty = np.empty((0, self.num_classes + self._opened.choices), np.float32)
        return np.concatenate([empty, *results])

    def _normalised(self, images: Images) -> Iterator[np.ndarray]:
        """Some at a time, so that a run's memory does not grow with their number."""
        if not isinstance(images, np.ndarray):
            if isinstance(images, str | os.PathLike | Image.Image):
                raise ConfigError(
                    f"expected a sequence of images, found one {type(images).__name__}; put it into a list"
                )
            for start in range(0, len(images), _AT_ONCE):
                yield self._of_pictures(images[start : start + _AT_ONCE])
            return
        channels, height, width = self._opened.shape
        pixels, floats = (height, width, channels), (channels, height, width)
        if images.dtype == np.uint8 and images.ndim == 4 and images.shape[1:] == pixels:
            for start in range(0, len(images), _AT_ONCE):
                yield self.about.preprocessing.normalize(images[start : start + _AT_ONCE])
        elif images.dtype == np.float32 and images.ndim == 4 and images.shape[1:] == floats:
            yield images
        else:
            raise ConfigError(
                f"expected pixels uint8 (N, {', '.join(map(str, pixels))}) or normalised float32 "
                f"(N, {', '.join(map(str, floats))}), found {images.dtype} {images.shape}"
            )

    def _of_pictures(self, pictures: Sequence[Any]) -> np.ndarray:
        preprocessing = self.about.preprocessing
        pixels = [np.asarray(_fitted(picture, preprocessing), np.uint8) for picture in pictures]
        return preprocessing.normalize(np.stack(pixels))


def _fitted(picture: Any, preprocessing: Preprocessing) -> Image.Image:
    """The square that the network takes of a picture, as in the evaluation of its accuracy."""
    image = picture.convert("RGB") if isinstance(picture, Image.Image) else read_rgb(picture)
    side = preprocessing.image_size
    if preprocessing.resize is not None:
        image = resize_shorter_side(image, preprocessing.resize, preprocessing.resampling)
        return center_crop(image, side)
    if image.size != (side, side):
        name = "a picture" if isinstance(picture, Image.Image) else picture
        raise DataError(f"{name}: expected {side} x {side} pixels, found {image.size[0]} x {image.size[1]}; resize it")
    return image
