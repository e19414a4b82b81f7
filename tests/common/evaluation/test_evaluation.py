"""Counts that are exact at any batch size, against NumPy sorting and SciPy."""

import io

import numpy as np
import pytest
from mindspore import Tensor, nn
from scipy.special import logsumexp

from common.data import ImageArrays, Preprocessing, batches, eval_dataset
from common.errors import QuantizationError
from common.evaluation import Metrics, evaluate, evaluate_images, evaluator, score

N, CLASSES = 23, 10
PLAIN = Preprocessing(image_size=4)


class Pixels(nn.Cell):
    """The first values of an image are its logits: ties are frequent."""

    def __init__(self, classes=CLASSES, scale=16.0):
        super().__init__()
        self.classes, self.scale = classes, scale

    def construct(self, x):
        return x.reshape(x.shape[0], -1)[:, : self.classes] * self.scale


def source(n=N, classes=CLASSES, levels=4, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, levels, (n, 4, 4, 3)).astype(np.uint8)
    return ImageArrays(images, rng.integers(0, classes, n).astype(np.int32), classes)


def logits_of(images, classes=CLASSES, scale=16.0):
    values = images.images.transpose(0, 3, 1, 2).reshape(len(images), -1)[:, :classes].astype(np.float32)
    return values / np.float32(255) * np.float32(scale)


def sorted_counts(logits, labels):
    """A stable sort puts equal logits in the order of their classes."""
    order = np.argsort(-logits, axis=1, kind="stable")
    return int((order[:, 0] == labels).sum()), int((order[:, :5] == labels[:, None]).any(1).sum())


def run(network, images, batch_size, samples=None):
    data = batches(eval_dataset(images, PLAIN, batch_size))
    return evaluate(network, data, samples or len(images), stream=io.StringIO())


@pytest.mark.parametrize("batch_size", [1, 7, N - 1, N, N + 1])
def test_every_image_counts_once(batch_size, mode):
    images = source()
    metrics = run(Pixels(), images, batch_size)
    logits = logits_of(images).astype(np.float64)
    expected = sorted_counts(logits, images.labels)
    assert (metrics.correct, metrics.correct_top5) == expected and metrics.samples == N
    assert all(type(count) is int for count in (metrics.correct, metrics.correct_top5, metrics.samples))
    loss = (logsumexp(logits, axis=1) - logits[np.arange(N), images.labels]).sum()
    assert metrics.loss_sum == pytest.approx(loss, rel=1e-6)
    assert metrics.seconds > 0 and 0 < metrics.timed_samples <= N


def test_ties_are_frequent_in_these_images():
    logits = logits_of(source())
    assert ((logits == logits.max(1, keepdims=True)).sum(1) > 1).mean() > 0.5


@pytest.mark.parametrize("classes", [1, 2, 5, 10, 1000])
@pytest.mark.parametrize("levels", [1, 3, 1_000_000])
def test_score_against_sorting(classes, levels):
    rng = np.random.default_rng(classes)
    logits = rng.integers(-levels, levels, (200, classes)).astype(np.float32) / np.float32(7)
    labels = rng.integers(0, classes, 200).astype(np.int32)
    correct, top5, loss = score(logits, labels)
    assert (correct, top5) == sorted_counts(logits, labels)
    assert correct == (logits.argmax(1) == labels).sum()
    target = logits[np.arange(200), labels].astype(np.float64)
    assert loss == pytest.approx((logsumexp(logits.astype(np.float64), axis=1) - target).sum(), rel=1e-12, abs=1e-9)


def test_score_of_huge_logits_and_of_none():
    assert score(np.array([[1e30, -1e30], [-3e38, 3e38]], np.float32), np.array([0, 1])) == (2, 2, 0.0)
    assert score(np.zeros((0, 3), np.float32), np.zeros(0, np.int32)) == (0, 0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_output_that_is_not_finite(value, mode):
    batch = {"image": np.zeros((3, 3, 4, 4), np.float32), "label": np.zeros(3, np.int32), "valid": np.ones(3, bool)}
    batch["image"][1, 0, 1, 3] = value
    with pytest.raises(QuantizationError, match="not finite"):
        evaluate(Pixels(), [batch], 3, stream=io.StringIO())


def test_filling_of_the_last_batch_is_not_looked_at():
    """Only images marked valid count, whatever the network says of the others."""
    valid = np.array([True, False, True])
    batch = {"image": np.zeros((3, 3, 4, 4), np.float32), "label": np.array([0, 99, 0]), "valid": valid}
    batch["image"][1] = np.nan
    metrics = evaluate(Pixels(), [batch], 2, stream=io.StringIO())
    assert (metrics.correct, metrics.samples) == (2, 2)


def test_label_that_the_network_has_no_logit_for():
    images = source(classes=CLASSES)
    assert images.labels.max() == CLASSES - 1
    with pytest.raises(QuantizationError, match=r"label 9.* 9 classes"):
        run(Pixels(CLASSES - 1), images, 7)


def test_fewer_than_five_classes():
    metrics = run(Pixels(3), source(classes=3), 7)
    assert metrics.correct_top5 == N


class TrainingMode(nn.Cell):
    """Logits say whether the network is in training mode."""

    def construct(self, x):
        logits = x.reshape(x.shape[0], -1)[:, :2] * 0
        return logits + Tensor([[1.0, 0.0]]) if self.training else logits + Tensor([[0.0, 1.0]])


def test_networks_are_evaluated_out_of_training_mode():
    images = ImageArrays(np.zeros((2, 4, 4, 3), np.uint8), np.ones(2, np.int32), 2)
    network = TrainingMode()
    network.set_train(True)
    assert run(network, images, 2).correct == 2


def test_rates_follow_from_the_counts():
    metrics = Metrics(correct=3, correct_top5=7, loss_sum=4.0, samples=8, seconds=0.5, timed_samples=6)
    assert metrics.accuracy == 0.375 and metrics.images_per_second == 12
    assert metrics.result() == {"acc": 0.375, "top_5_acc": 0.875, "loss": 0.5, "samples": 8}


def test_progress_goes_to_the_given_stream(capsys):
    stream = io.StringIO()
    evaluate(Pixels(), batches(eval_dataset(source(), PLAIN, 7)), N, label="test", stream=stream)
    assert stream.getvalue().startswith("test: 23/23 images")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("batch_size", [5, N])
def test_all_images_of_a_source(batch_size):
    images, stream = source(), io.StringIO()
    expected = evaluate(Pixels(), batches(eval_dataset(images, PLAIN, 7)), N, stream=stream).result()
    assert evaluate_images(Pixels(), images, PLAIN, batch_size, "test").result() == pytest.approx(expected)
    assert evaluator(images, PLAIN, batch_size)(Pixels()).result() == pytest.approx(expected)


class Pair(Pixels):
    """Gives the mean of an image beside its logits."""

    def construct(self, x):
        return super().construct(x), x.mean((1, 2, 3))


class Recorder:
    """Keeps what it is told of the images that count."""

    def __init__(self):
        self.labels, self.means, self.filling = [], [], 0

    def __call__(self, batch, outputs):
        logits, means = outputs
        assert isinstance(logits, np.ndarray) and len(logits) == len(means) == len(batch["label"])
        self.labels += batch["label"][batch["valid"]].tolist()
        self.means += means[batch["valid"]].tolist()
        self.filling += int((~batch["valid"]).sum())


@pytest.mark.parametrize("batch_size", [5, N])
def test_what_a_network_gives_beside_its_logits_reaches_the_callback(batch_size, mode):
    images, recorder = source(), Recorder()
    metrics = evaluate_images(Pair(), images, PLAIN, batch_size, "test", recorder)
    assert metrics.result() == evaluate_images(Pixels(), images, PLAIN, batch_size).result()
    assert recorder.labels == images.labels.tolist() and recorder.filling == -N % batch_size
    assert recorder.means == pytest.approx((images.images.reshape(N, -1).mean(1) / 255).tolist(), rel=1e-5)


def test_only_checked_outputs_reach_the_callback():
    batch = {"image": np.full((2, 3, 4, 4), np.nan, np.float32), "label": np.zeros(2, int), "valid": np.ones(2, bool)}
    told = []
    with pytest.raises(QuantizationError, match="not finite"):
        evaluate(Pixels(), [batch], 2, stream=io.StringIO(), on_batch=lambda *outputs: told.append(outputs))
    assert not told
