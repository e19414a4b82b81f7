"""The embedded data set: scikit-learn's 1797 handwritten digits, as 32x32 RGB images. Needs no download.

The original 8x8 images have 17 grey levels, which are spread over 0..255 before the bilinear enlargement.
"""

import numpy as np
from PIL import Image

from common.data.arrays import ImageArrays
from common.data.class_names import FIXED_NAMES
from common.errors import ConfigError

NUM_CLASSES = 10
_SIDE = 32
_TEST_EVERY = 5


def load(split: str) -> ImageArrays:
    """The 1437 training or the 360 test images, the same ones each time; see :func:`split_indices`.

    Args:
        split: "train" or "test".

    Raises:
        ConfigError: another ``split``.
    """
    if split not in ("train", "test"):
        raise ConfigError(f"split must be train or test, found {split!r}")
    from sklearn.datasets import load_digits  # takes a second to import, and only this function needs it

    digits = load_digits()
    train, test = split_indices(digits.target)
    chosen = train if split == "train" else test
    images = np.stack([enlarge(image) for image in digits.images[chosen]])
    return ImageArrays(images, digits.target[chosen].astype(np.int32), NUM_CLASSES, FIXED_NAMES["digits"])


def enlarge(image: np.ndarray) -> np.ndarray:
    """One image of levels 0..16, (8, 8), as uint8 (32, 32, 3)."""
    grey = Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8))
    resized = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    return np.repeat(resized[:, :, None], 3, axis=2)


def split_indices(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image numbers for training and for testing, each in random order.

    The images are shuffled, then ordered by class, and every fifth one is for testing: each class gives a fifth of
    its images, give or take one. NumPy freezes the stream of ``RandomState``, so the split outlives its releases.
    """
    order = np.random.RandomState(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    in_test = np.zeros(len(labels), bool)
    in_test[by_class[::_TEST_EVERY]] = True
    return order[~in_test[order]], order[in_test[order]]
