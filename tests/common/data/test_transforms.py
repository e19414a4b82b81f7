import math

import numpy as np
import pytest
from PIL import Image

from common.data.transforms import center_crop, crop_and_flip, random_box, resize_shorter_side

ALMOST_ONE = math.nextafter(1.0, 0.0)


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 7 % 256, y * 5 % 256, (x + y) % 256], axis=-1).astype(np.uint8))


class TestCropAndFlip:
    @pytest.mark.parametrize("padding", [0, 1, 4])
    @pytest.mark.parametrize("flip", [False, True])
    def test_is_a_window_of_the_padded_image(self, padding, flip):
        rng = np.random.default_rng(0)
        images, draws = rng.integers(0, 256, (40, 9, 11, 3), np.uint8), rng.random((40, 3))
        before = images.copy()
        result = crop_and_flip(images, draws, padding, flip)
        for image, (row, column, mirror), found in zip(images, draws, result):
            padded = np.zeros((9 + 2 * padding, 11 + 2 * padding, 3), np.uint8)
            padded[padding : padding + 9, padding : padding + 11] = image
            top, left = math.floor(row * (2 * padding + 1)), math.floor(column * (2 * padding + 1))
            window = padded[top : top + 9, left : left + 11]
            assert np.array_equal(found, window[:, ::-1] if flip and mirror < 0.5 else window)
        assert np.array_equal(images, before)

    def test_reaches_every_offset(self):
        image = np.zeros((1, 8, 8, 3), np.uint8)
        image[0, 4, 4] = 255
        corners = np.array([[0, 0, 1], [ALMOST_ONE, ALMOST_ONE, 1], [0.5, 0.5, 1]])
        found = crop_and_flip(np.repeat(image, 3, 0), corners, 2, False)
        assert [tuple(np.argwhere(x[..., 0])[0]) for x in found] == [(6, 6), (2, 2), (4, 4)]


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (257, 256), (511, 333), (64, 1000), (3, 2)])
@pytest.mark.parametrize("side", [256, 64])
def test_resize_and_center_crop_round_as_torchvision(size, side):
    image, crop = gradient(*size), side * 7 // 8
    resized = resize_shorter_side(image, side)

    # torchvision.transforms.functional._compute_resized_output_size and resize
    w, h = size
    short, long = (w, h) if w <= h else (h, w)
    new_short, new_long = side, int(side * long / short)
    expected = image.resize((new_short, new_long) if w <= h else (new_long, new_short), Image.BILINEAR)
    assert resized.size == expected.size and resized.tobytes() == expected.tobytes()

    # torchvision.transforms.functional.center_crop
    width, height = expected.size
    top, left = round((height - crop) / 2.0), round((width - crop) / 2.0)
    cropped = expected.crop((left, top, left + crop, top + crop))
    assert center_crop(resized, crop).tobytes() == cropped.tobytes()


def torchvision_box(width, height, draws):
    """torchvision.transforms.RandomResizedCrop.get_params with its random numbers replaced by ``draws``."""
    draws = iter(draws)
    area = height * width
    log_ratio = (math.log(3.0 / 4.0), math.log(4.0 / 3.0))
    for _ in range(10):
        target_area = area * (0.08 + (1.0 - 0.08) * next(draws))
        aspect_ratio = math.exp(log_ratio[0] + (log_ratio[1] - log_ratio[0]) * next(draws))
        row, column = next(draws), next(draws)
        w = round(math.sqrt(target_area * aspect_ratio))
        h = round(math.sqrt(target_area / aspect_ratio))
        if 0 < w <= width and 0 < h <= height:
            i, j = math.floor(row * (height - h + 1)), math.floor(column * (width - w + 1))
            return i, j, h, w
    in_ratio = float(width) / float(height)
    if in_ratio < 3.0 / 4.0:
        w = width
        h = round(w / (3.0 / 4.0))
    elif in_ratio > 4.0 / 3.0:
        h = height
        w = round(h * (4.0 / 3.0))
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (224, 224), (1000, 20), (20, 1000), (2, 2), (1, 1)])
def test_random_box_is_torchvisions(size):
    width, height = size
    rng = np.random.default_rng(1)
    boxes = []
    for draws in rng.random((200, 40)):
        left, top, right, bottom = random_box(width, height, draws)
        assert (top, left, bottom - top, right - left) == torchvision_box(width, height, draws)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        boxes.append((left, top, right, bottom))
    assert len(set(boxes)) > 100 or min(size) < 30


@pytest.mark.parametrize("size", [(1000, 20), (20, 1000)])
def test_random_box_falls_back_to_the_middle(size):
    draws = np.full(40, ALMOST_ONE)  # the whole area ten times: too long for the short side
    left, top, right, bottom = random_box(*size, draws)
    assert sorted((right - left, bottom - top)) == [20, 27]
    assert abs((left + right) - size[0]) <= 1 and abs((top + bottom) - size[1]) <= 1
