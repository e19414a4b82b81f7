import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from common.data import CIFAR10, CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.errors import ConfigError

PRESETS = [CIFAR10, CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET]
LEAST = {"image_size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}


def every_level() -> np.ndarray:
    """All 256 levels in all three channels, (4, 8, 8, 3) with the channels out of step."""
    levels = np.arange(256, dtype=np.uint8)
    return np.stack([levels, levels[::-1], np.roll(levels, 77)], axis=-1).reshape(4, 8, 8, 3)


@pytest.mark.parametrize("preprocessing", PRESETS)
def test_normalize_is_the_formula(preprocessing):
    images = every_level()
    result = preprocessing.normalize(images)
    exact = (images / 255.0 - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    assert result.dtype == np.float32 and result.shape == (4, 3, 8, 8) and result.flags["C_CONTIGUOUS"]
    # Three roundings in float32 of values below 3, the first two divided by a std of about 0.2.
    np.testing.assert_allclose(result, exact.transpose(0, 3, 1, 2), rtol=0, atol=2e-6)


@pytest.mark.parametrize("preprocessing", PRESETS)
def test_normalize_equals_torch_bit_for_bit(preprocessing):
    torch = pytest.importorskip("torch")
    images = every_level()
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float().div(255)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    assert np.array_equal(preprocessing.normalize(images), tensor.sub(mean).div(std).numpy())


@pytest.mark.parametrize("shape", [(0, 32, 32, 3), (1, 1, 1, 3), (2, 5, 3, 3)])
def test_normalize_keeps_awkward_shapes(shape):
    images = np.full(shape, 255, np.uint8)
    result = Preprocessing(std=(0.5, 1, 2)).normalize(images[:, ::1])
    assert result.shape == (shape[0], 3, shape[1], shape[2])
    assert np.array_equal(result, np.broadcast_to(np.float32([2, 1, 0.5])[:, None, None], result.shape))


def test_normalize_takes_a_strided_view():
    images = every_level()
    assert np.array_equal(CIFAR10.normalize(images[::2, :, ::-1]), CIFAR10.normalize(images)[::2, :, :, ::-1])


@pytest.mark.parametrize("preprocessing", PRESETS)
def test_survives_json(preprocessing):
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_optional_keys_may_be_absent():
    assert Preprocessing.from_dict(LEAST) == Preprocessing(32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


@pytest.mark.parametrize("key", LEAST)
def test_missing_key_is_named(key):
    with pytest.raises(ConfigError, match=f"lacks {key}"):
        Preprocessing.from_dict({k: v for k, v in LEAST.items() if k != key})


def test_unknown_key_is_named():
    with pytest.raises(ConfigError, match="unknown preprocessing key crop_pading"):
        Preprocessing.from_dict({**LEAST, "crop_pading": 4})


@pytest.mark.parametrize("values", [None, [1, 2], "cifar10"])
def test_no_mapping_is_refused(values):
    with pytest.raises(ConfigError, match="must be a mapping"):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", 0),
        ("image_size", 32.0),
        ("image_size", True),
        ("image_size", None),
        ("mean", [0.5, 0.5]),
        ("mean", 0.5),
        ("mean", [0.5, 0.5, float("nan")]),
        ("mean", ["0.5", 0.5, 0.5]),
        ("std", [0.2, 0, 0.2]),
        ("std", [0.2, -1, 0.2]),
        ("std", [0.2, 0.2, float("inf")]),
        ("resize", 31),
        ("resize", "256"),
        ("crop_padding", -1),
        ("crop_padding", 1.5),
        ("flip", 1),
        ("flip", "false"),
    ],
)
def test_value_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"preprocessing.{key}"):
        Preprocessing.from_dict({**LEAST, key: value})


def test_published_statistics():
    assert CIFAR10.mean == (0.4914, 0.4822, 0.4465) and CIFAR10.std == (0.2023, 0.1994, 0.2010)
    assert CIFAR10_IMAGENET_STATS.mean == IMAGENET.mean == (0.485, 0.456, 0.406)
    assert CIFAR10_IMAGENET_STATS.std == IMAGENET.std == (0.229, 0.224, 0.225)
    assert (IMAGENET.image_size, IMAGENET.resize) == (224, 256)
    assert [p.flip for p in PRESETS] == [True, True, False, True]
    assert [p.crop_padding for p in PRESETS] == [4, 4, 2, 0]


def test_is_immutable():
    with pytest.raises(FrozenInstanceError):
        CIFAR10.flip = False
