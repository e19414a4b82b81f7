"""Crops, flips and resizing, with the rounding rules of torchvision so that its checkpoints see the same pixels."""

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

CROP_AND_FLIP_DRAWS = 3
_ATTEMPTS = 10
RESIZED_CROP_DRAWS = 4 * _ATTEMPTS
_AXES: Any = (1, 2, 3)  # NumPy declares a single axis alone

Box = tuple[int, int, int, int]


def crop_and_flip(images: np.ndarray, draws: np.ndarray, padding: int, flip: bool) -> np.ndarray:
    """Shift each image by up to ``padding`` pixels, black moving in, and mirror those whose last draw is below 0.5.

    Args:
        images: uint8 (B, H, W, 3).
        draws: (B, 3) in [0, 1): row, column, mirror.
        padding: black pixels added on each side before the crop back to (H, W).
        flip: whether to mirror at all.

    Returns:
        uint8 (B, H, W, 3), a copy.
    """
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = sliding_window_view(padded, images.shape[1:], _AXES)  # (B, 2p+1, 2p+1, 1, H, W, 3)
    top, left = (draws[:, :2] * (2 * padding + 1)).astype(np.intp).T
    result = windows[np.arange(len(images)), top, left, 0]
    if flip:
        mirrored = draws[:, 2] < 0.5
        result[mirrored] = result[mirrored][:, :, ::-1]
    return result


def resize_shorter_side(
    image: Image.Image, size: int, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """The shorter side to ``size`` and the longer one to ``int(size * long / short)``."""
    width, height = image.size
    longer = int(size * max(width, height) / min(width, height))
    target = (size, longer) if width <= height else (longer, size)
    return image if target == image.size else image.resize(target, resampling)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The middle (size, size) square; an odd margin is split by rounding half to even."""
    width, height = image.size
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def random_box(
    width: int,
    height: int,
    draws: np.ndarray,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """The rectangle of RandomResizedCrop: a share ``scale`` of the area with an aspect within ``ratio``.

    The area is uniform and the aspect log-uniform; the first of ten attempts that fits the image is taken.

    Args:
        width: of the image.
        height: of the image.
        draws: (40,) in [0, 1): area, aspect, row, column of each attempt.
        scale: smallest and largest share of the area.
        ratio: smallest and largest width / height.

    Returns:
        left, top, right, bottom.
    """
    for area_draw, aspect_draw, top_draw, left_draw in draws.reshape(_ATTEMPTS, 4):
        area = width * height * (scale[0] + (scale[1] - scale[0]) * area_draw)
        low, high = math.log(ratio[0]), math.log(ratio[1])
        aspect = math.exp(low + (high - low) * aspect_draw)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(left_draw * (width - w + 1)), int(top_draw * (height - h + 1))
            return left, top, left + w, top + h
    return _central_box(width, height, ratio)


def _central_box(width: int, height: int, ratio: tuple[float, float]) -> Box:
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
