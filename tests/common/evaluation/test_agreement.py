"""Agreement of two networks' logits, against SciPy and scikit-learn, and on images that fill no batch."""

import numpy as np
import pytest
from mindspore import nn
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics import accuracy_score, mean_squared_error

from common.data import DIGITS, open_dataset
from common.errors import QuantizationError
from common.evaluation.agreement import agreement, logits_of


@pytest.mark.parametrize(("images", "classes"), [(1, 2), (7, 10), (50, 1000)])
def test_figures_are_those_of_scipy(images, classes):
    rng = np.random.default_rng(images)
    wanted = rng.normal(0, 5, (images, classes)).astype(np.float32)
    found = (wanted + rng.normal(0, 2, wanted.shape)).astype(np.float32)
    result = agreement(found, wanted)
    assert result.samples == images
    assert result.rate == accuracy_score(wanted.argmax(1), found.argmax(1))
    assert result.difference == pytest.approx(mean_squared_error(wanted.astype(float), found.astype(float)), rel=1e-12)
    p, q = softmax(wanted.astype(float), 1), softmax(found.astype(float), 1)
    assert result.divergence == pytest.approx(entropy(p, q, axis=1).mean(), rel=1e-9)


def test_large_logits_stay_finite():
    wanted = np.array([[1e4, -1e4], [0, 0]], np.float32)
    assert agreement(wanted, wanted).divergence == 0
    assert agreement(-wanted, wanted).divergence == pytest.approx(2e4 / 2)


@pytest.mark.parametrize(("found", "wanted"), [((3, 10), (3, 9)), ((3, 10), (2, 10)), ((0, 10), (0, 10))])
def test_others_are_refused(found, wanted):
    with pytest.raises(QuantizationError, match="expected logits"):
        agreement(np.zeros(found, np.float32), np.zeros(wanted, np.float32))


def test_logits_are_those_of_the_images_in_their_order(pynative):
    images = open_dataset("digits", None, "test").take(np.arange(11))
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(3 * 32 * 32, 10))
    whole = logits_of(network, images, DIGITS, 11)
    assert whole.shape == (11, 10)
    np.testing.assert_allclose(logits_of(network, images, DIGITS, 4), whole, rtol=1e-5, atol=1e-5)
