"""What a network sees of an image file: the part that is taken, brought to the network's size.

A JPEG can be decoded at half, a quarter or an eighth of its size, by leaving out the high frequencies of its blocks:
faster by as many pixels, and almost the picture that resizing gives. In evaluation that is done only where what is
decoded is still at least twice the size that it is resized to, so that accuracies are those of whole pixels: images of
usual size (ImageNet's, below 512 pixels at ``resize`` 256 and a factor of two) are never touched. In training, where
pixels are random anyway, it is done wherever no pixel has to be made up.
"""

import math
from abc import ABC, abstractmethod

import numpy as np
from PIL import Image

from common.data import transforms
from common.data.preprocessing import Preprocessing

Size = tuple[int, int]
EVALUATION_MARGIN = 2  # times the size that an image is resized to


class View(ABC):
    """The square of an image that a network sees; of one image at a time."""

    @abstractmethod
    def enough(self, width: int, height: int) -> Size:
        """The least width and height at which an image of this size may be decoded."""

    @abstractmethod
    def of(self, image: Image.Image, whole: Size) -> Image.Image:
        """The square, of an image whose file declares the size ``whole``."""


class CentralView(View):
    """Evaluation's: the shorter side is resized, the middle is taken.

    Args:
        preprocessing: what the network expects.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.side, self.resampling = preprocessing.image_size, preprocessing.resampling
        self.resize = preprocessing.resize or preprocessing.image_size

    def enough(self, width: int, height: int) -> Size:
        """Twice the size that the image is resized to."""
        return _scaled(width, height, EVALUATION_MARGIN * self.resize, min(width, height))

    def of(self, image: Image.Image, whole: Size) -> Image.Image:
        """The middle; how large the file's image is does not matter."""
        return transforms.center_crop(transforms.resize_shorter_side(image, self.resize, self.resampling), self.side)


class RandomView(View):
    """Training's: a random part of the image (see :func:`common.data.transforms.random_box`), perhaps mirrored.

    Args:
        preprocessing: what the network expects.
        draws: (41,) in [0, 1): those of the part, and one of the mirror.
    """

    def __init__(self, preprocessing: Preprocessing, draws: np.ndarray) -> None:
        self.side, self.resampling = preprocessing.image_size, preprocessing.resampling
        self.draws, self.mirrored = draws[:-1], preprocessing.flip and draws[-1] < 0.5

    def enough(self, width: int, height: int) -> Size:
        """The size at which the part is as large as the network's input."""
        left, top, right, bottom = transforms.random_box(width, height, self.draws)
        return _scaled(width, height, self.side, min(right - left, bottom - top))

    def of(self, image: Image.Image, whole: Size) -> Image.Image:
        """The part of the whole image, wherever it lies in a smaller one."""
        box = transforms.random_box(*whole, self.draws)
        if image.size == whole:
            part = image.crop(box).resize((self.side, self.side), self.resampling)
        else:
            x, y = image.width / whole[0], image.height / whole[1]
            place = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
            part = image.resize((self.side, self.side), self.resampling, place)
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else part


def _scaled(width: int, height: int, numerator: int, denominator: int) -> Size:
    return math.ceil(width * numerator / denominator), math.ceil(height * numerator / denominator)
