import mindspore as ms
import numpy as np
import pytest
from ldnq_tiny import tiny_network

from common.data import CIFAR10
from common.errors import DataError
from LDNQ.calibration_set import CalibrationSet, choose_images


def test_the_chosen_images_are_recorded_and_used_again(images, tmp_path):
    record = tmp_path / "images.json"
    first = choose_images(images, 5, 1, record)
    assert np.array_equal(choose_images(images, 5, 2, record).images, first.images)
    other = choose_images(images, 5, 2, record, resample=True)
    assert not np.array_equal(other.images, first.images) and len(np.unique(other.images, axis=0)) == 5
    assert np.array_equal(choose_images(images, 5, 1, record).images, other.images)
    with pytest.raises(DataError, match="resample"):
        choose_images(images, 6, 1, record)
    with pytest.raises(DataError, match="13 images were asked for, the data set holds 12"):
        choose_images(images, 13, 1, record)
    for text in (
        "",
        "[]",
        '{"of": 12}',
        '{"of": 12, "indices": [1, 1, 2, 3, 4]}',
        '{"of": 12, "indices": [0, 1, 2, 3, 12]}',
    ):
        record.write_text(text)
        with pytest.raises(DataError, match=r"images\.json"):
            choose_images(images, 5, 1, record)


def test_views_and_logits_belong_together(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 3, 7)
    data.compute_teacher_logits(network)
    assert data.logits.shape == (3, 12, 10)
    first, logits = data.batch(5, 8)
    again, _ = data.batch(5, 8)
    assert np.array_equal(first, again) and first.shape == (8, 3, 32, 32)
    np.testing.assert_allclose(network(ms.Tensor(first)).asnumpy(), logits, atol=1e-4)
    assert not np.array_equal(data.batch(6, 8)[0], first)
    assert len(data.batch(0, 64)[0]) == 12
