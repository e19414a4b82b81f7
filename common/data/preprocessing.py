"""What is done to an image before a network sees it; belongs to a checkpoint, not to a data set.

A checkpoint records its :class:`Preprocessing` through ``to_dict`` and gets it back through ``from_dict``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from PIL import Image

from common.errors import ConfigError

_REQUIRED = ("image_size", "mean", "std")
_BILINEAR = "bilinear"
_METHODS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # torchvision's, by its names
INTERPOLATIONS = {name: Image.Resampling[name.upper()] for name in _METHODS}


@dataclass(frozen=True)
class Preprocessing:
    """Geometry and normalisation of the images a network was trained on.

    Attributes:
        image_size: side S of the square network input, in pixels.
        mean: per channel (red, green, blue), of values scaled to [0, 1].
        std: per channel, above 0. The defaults of ``mean`` and ``std`` only scale to [0, 1].
        resize: length the shorter side is brought to before the crop in evaluation; None keeps the size.
        crop_padding: in training, black pixels added on each side before a random crop back to ``image_size``.
        flip: in training, mirror half of the images from left to right.
        interpolation: how images are resized, one of ``INTERPOLATIONS``, in evaluation and in training.

    Raises:
        ConfigError: a value of the wrong type or out of its range.
    """

    image_size: int = 32
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: int | None = None
    crop_padding: int = 0
    flip: bool = False
    interpolation: str = _BILINEAR

    def __post_init__(self) -> None:
        _check_integer("image_size", self.image_size, 1)
        _check_integer("crop_padding", self.crop_padding, 0)
        if self.resize is not None:
            _check_integer("resize", self.resize, self.image_size)
        if not isinstance(self.flip, bool):
            raise ConfigError(f"preprocessing.flip must be true or false, found {self.flip!r}")
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise ConfigError(f"preprocessing.interpolation must be one of {known}, found {self.interpolation!r}")
        object.__setattr__(self, "mean", _channels("mean", self.mean))
        object.__setattr__(self, "std", _channels("std", self.std))
        if min(self.std) <= 0:
            raise ConfigError(f"preprocessing.std must be above 0 in each channel, found {list(self.std)}")

    @property
    def resampling(self) -> Image.Resampling:
        """Pillow's name of the interpolation."""
        return INTERPOLATIONS[self.interpolation]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON and YAML can hold; the inverse of :meth:`from_dict`.

        Without the interpolation where it is bilinear, as files of all versions have it.
        """
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {key: value for key, value in values.items() if (key, value) != ("interpolation", _BILINEAR)}

    def __str__(self) -> str:
        size = f"{self.image_size} x {self.image_size} pixels"
        how = f" of the shorter side resized to {self.resize} ({self.interpolation})" if self.resize else ""
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{size}{how}, mean {mean}, std {std}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Build from the mapping that a checkpoint or a configuration file holds.

        Raises:
            ConfigError: not a mapping, a key is unknown, or ``image_size``, ``mean`` or ``std`` is missing.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"preprocessing must be a mapping of its keys, found {type(values).__name__}")
        known = [field.name for field in fields(cls)]
        if unknown := [str(key) for key in values if key not in known]:
            raise ConfigError(f"unknown preprocessing key {', '.join(unknown)}; known: {', '.join(known)}")
        if missing := [key for key in _REQUIRED if key not in values]:
            raise ConfigError(f"preprocessing lacks {', '.join(missing)}; give {', '.join(_REQUIRED)}")
        return cls(**values)

    def normalize(self, images: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """``(x / 255 - mean) / std`` in float32, each operation rounded as in that formula.

        Args:
            images: uint8 (N, H, W, 3).
            out: float32 (N, 3, H, W) to be filled; None: a new array.

        Returns:
            float32 (N, 3, H, W), contiguous.
        """
        count, height, width, channels = images.shape
        result = np.empty((count, channels, height, width), np.float32) if out is None else out
        result[...] = images.transpose(0, 3, 1, 2)
        # Three passes in place are as fast as one multiply-add here, and bit-equal to the formula.
        result /= np.float32(255)
        result -= np.array(self.mean, np.float32)[:, None, None]
        result /= np.array(self.std, np.float32)[:, None, None]
        return result


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"preprocessing.{name} must be an integer of at least {least}, found {value!r}")


def _channels(name: str, values: Any) -> tuple[float, ...]:
    numeric = isinstance(values, (list, tuple)) and len(values) == 3 and all(map(_is_finite_number, values))
    if not numeric:
        raise ConfigError(f"preprocessing.{name} must be 3 finite numbers (red, green, blue), found {values!r}")
    return tuple(map(float, values))


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

CIFAR10 = Preprocessing(32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), crop_padding=4, flip=True)
CIFAR10_IMAGENET_STATS = Preprocessing(32, _IMAGENET_MEAN, _IMAGENET_STD, crop_padding=4, flip=True)
CIFAR100 = Preprocessing(32, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), crop_padding=4, flip=True)
IMAGENET = Preprocessing(224, _IMAGENET_MEAN, _IMAGENET_STD, resize=256, flip=True)
# Mean and standard deviation of the pixels of the 1437 training images; a mirrored digit is no digit, so no flip.
DIGITS = Preprocessing(32, (0.3057, 0.3057, 0.3057), (0.3234, 0.3234, 0.3234), crop_padding=2)

# The known ones by name.
PREPROCESSINGS = {
    "digits": DIGITS,
    "cifar10": CIFAR10,
    "cifar10-imagenet-stats": CIFAR10_IMAGENET_STATS,
    "imagenet": IMAGENET,
    "imagenet-v2": replace(IMAGENET, resize=232),  # of torchvision's second weights
    "imagenet-bicubic": replace(IMAGENET, interpolation="bicubic"),
}
