"""Images of a calibration, and what layers see of them."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.data import ImageArrays, Preprocessing
from common.errors import ConfigError, DataError
from common.models.layers import weighted_layers
from common.quant.calibration import calibration_batches, evaluating, image_batches, sample_inputs, thinned

COUNT = 40
PREPROCESSING = Preprocessing(8, (0.4,) * 3, (0.3,) * 3, crop_padding=1, flip=True)


def images() -> ImageArrays:
    rng = np.random.default_rng(0)
    return ImageArrays(rng.integers(0, 256, (COUNT, 8, 8, 3), np.uint8), np.zeros(COUNT, np.int32), 10)


class Net(nn.Cell):
    """Two convolutions; in training the second sees twice the values."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, pad_mode="pad", padding=1)
        self.norm, self.act = nn.BatchNorm2d(4), nn.ReLU()
        self.second = nn.Conv2d(4, 2, 1, pad_mode="valid")

    def construct(self, x):
        x = self.act(self.norm(self.first(x)))
        return self.second(2 * x if self.training else x)


def test_all_images_in_their_order():
    source, numbers = images(), np.arange(COUNT)
    plain = list(image_batches(source, PREPROCESSING, batch_size=16))
    assert [len(batch) for batch in plain] == [16, 16, 8]
    assert np.array_equal(np.concatenate(plain), source.eval_batch(numbers, PREPROCESSING))
    augmented = np.concatenate(list(image_batches(source, PREPROCESSING, 3, 16)))
    assert np.array_equal(augmented, source.train_batch(numbers, PREPROCESSING, 3, 0))
    assert not np.array_equal(augmented, np.concatenate(plain))


@pytest.mark.parametrize("count", [1, 32, COUNT, 1000])
@pytest.mark.parametrize("augment", [True, False])
def test_some_images_by_the_seed(count, augment):
    source = images()
    chosen = source.sample(min(count, COUNT), 5)
    arguments = np.arange(len(chosen)), PREPROCESSING
    expected = chosen.train_batch(*arguments, 5, 0) if augment else chosen.eval_batch(*arguments)
    batches = list(calibration_batches(source, PREPROCESSING, count, 5, augment, 16))
    assert np.array_equal(np.concatenate(batches), expected)
    assert all(len(batch) == 16 for batch in batches[:-1]) and len(batches[-1]) <= 16


def test_images_that_cannot_be_had():
    with pytest.raises(ConfigError, match="at least 1"):
        calibration_batches(images(), PREPROCESSING, 0, 0)
    with pytest.raises(ConfigError, match="16"):
        next(image_batches(images(), Preprocessing(16, (0.4,) * 3, (0.3,) * 3)))


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_before_is_back_even_after_an_error(training):
    network = Net().set_train(training)
    with pytest.raises(KeyError), evaluating(network):
        assert not network.training and not network.norm.training
        raise KeyError
    assert network.training == network.norm.training == training


@pytest.mark.parametrize("training", [True, False])
def test_inputs_are_those_of_evaluation(training):
    network, batches = Net().set_train(training), list(image_batches(images(), PREPROCESSING, batch_size=16))
    inputs = sample_inputs(network, weighted_layers(network), batches)
    assert network.training == training and list(inputs) == ["first", "second"]
    assert np.array_equal(inputs["first"], np.concatenate([batch.ravel() for batch in batches]))
    network.set_train(False)
    hidden = [network.act(network.norm(network.first(Tensor(batch)))).asnumpy().ravel() for batch in batches]
    np.testing.assert_allclose(inputs["second"], np.concatenate(hidden), rtol=1e-5, atol=1e-6)
    assert np.array_equal(network.norm.moving_mean.asnumpy(), np.zeros(4))


def test_a_thinning_of_ones_choice():
    network, batches = Net(), list(image_batches(images(), PREPROCESSING, batch_size=16))
    most = sample_inputs(network, {"first": network.first}, batches, lambda x: x.max(keepdims=True).ravel())["first"]
    assert np.array_equal(most, [batch.max() for batch in batches])


def test_no_image():
    network = Net()
    with pytest.raises(DataError, match="at least one image"):
        sample_inputs(network, weighted_layers(network), [])


def test_thinned_values_are_few_and_of_the_same_distribution():
    values = np.random.default_rng(0).normal(0, 1, (64, 32, 32, 33)).astype(np.float32)
    kept = thinned(values)
    assert 200_000 < kept.size <= 1 << 18 and kept.mean() == pytest.approx(values.mean(), abs=0.01)
    assert kept.std() == pytest.approx(values.std(), rel=0.01)
    assert np.array_equal(thinned(values[0, :2]), values[0, :2].ravel())
