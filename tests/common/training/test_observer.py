"""What an observer of a training sees and may not change, and the pictures of a training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import training_run as run
from matplotlib.image import imread
from mindspore import Parameter, ParameterTuple, Tensor, ops

from common import checkpoint
from common.checkpoint import network_state
from common.errors import ConfigError
from common.report import curves, figure
from common.training import Trainer, trainer
from common.training.step import Observer, TrainStep, make_optimizer

SHIFT, STRETCH = np.array([0.1, -0.2, 0.3, 0], np.float32), np.array([1, 2], np.float32)


class Probed(run.Small):
    """Adds ``shift`` to the logits and multiplies two of them by ``stretch``; the rest is the observer's memory."""

    def __init__(self, shift=(0, 0, 0, 0), stretch=(1, 1)):
        super().__init__()
        self.shift = Parameter(Tensor(np.array(shift, np.float32)), name="shift")
        self.stretch = Parameter(Tensor(np.array(stretch, np.float32)), name="stretch")
        self.sums = Parameter(Tensor(np.zeros(4, np.float32)), name="sums", requires_grad=False)
        self.last = Parameter(Tensor(np.zeros(2, np.float32)), name="last", requires_grad=False)
        self.factor = Parameter(Tensor(np.ones(1, np.float32)), name="factor", requires_grad=False)

    def construct(self, x):
        logits = super().construct(x) * self.factor
        return ops.cat((logits[:, :2] * self.stretch, logits[:, 2:]), 1) + self.shift


class Watcher(Observer):
    """Keeps the last gradient of ``stretch`` and the sum of the absolute ones of ``shift``; halves the logits twice."""

    def __init__(self, network, finished=(True, True, True)):
        super().__init__([network.shift, network.stretch])
        self.memory = ParameterTuple([network.sums, network.last, network.factor])
        self.answers, self.epochs = finished, []

    def construct(self, gradients):
        ops.assign_add(self.memory[0], ops.abs(gradients[0]))
        ops.assign(self.memory[1], gradients[1])
        return gradients

    def after_epoch(self, epoch):
        self.epochs.append(epoch)
        sums, _, factor = self.memory
        factor.set_data(Tensor(factor.asnumpy() * np.float32(0.5 + sums.asnumpy()[0] / 4)))
        return {"watched": sums.asnumpy().tolist(), "factor": factor.asnumpy().item()}

    def finished(self):
        return self.answers[self.epochs[-1]]


def own(network):
    """The parameters that :class:`run.Small` has too, but not what the observer works with."""
    names = dict(run.Small().parameters_and_names())
    return {name: value for name, value in network_state.state(network).items() if name in names}


def softmax_error(logits, labels, smoothing):
    """Gradient of the mean cross-entropy for the logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    return (p / p.sum(1, keepdims=True) - (1 - smoothing) * np.eye(4)[labels] - smoothing / 4) / len(labels)


def test_gradients_reach_the_observer_and_do_not_move_what_it_watches(mode):
    """Unclipped, in the order of the observer's parameters, summed over the steps."""
    network, recipe = Probed(SHIFT, STRETCH), replace(run.RECIPE, clip_norm=0.05)
    watched = Watcher(network)
    trained = [p for p in network.trainable_params() if p.name not in ("shift", "stretch")]
    step = TrainStep(network, make_optimizer(trained, recipe, 3), 0.1, 0.05, watched)
    step.set_train(True)
    rng, sums = np.random.default_rng(0), np.zeros(4)
    for _ in range(3):
        x, labels = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32)
        _, logits = step(Tensor(x), Tensor(labels))
        error = softmax_error(logits.asnumpy().astype(float), labels, 0.1)
        sums += abs(error.sum(0))
        before_stretch = (logits.asnumpy() - SHIFT)[:, :2] / STRETCH
        assert network.last.asnumpy() == pytest.approx((error[:, :2] * before_stretch).sum(0), rel=1e-4, abs=1e-6)
    assert network.sums.asnumpy() == pytest.approx(sums, rel=1e-4)
    assert np.array_equal(network.shift.asnumpy(), SHIFT) and np.array_equal(network.stretch.asnumpy(), STRETCH)
    assert not np.array_equal(own(network)["fc.weight"], own(Probed())["fc.weight"])


class Onlooker(Watcher):
    """Changes nothing."""

    def after_epoch(self, epoch):
        self.epochs.append(epoch)
        return {}


def test_training_is_that_without_an_observer(tmp_path, no_picture, pynative):
    """Bit for bit, also where gradients are clipped by their common norm."""
    recipe = replace(run.RECIPE, epochs=1, clip_norm=0.05)
    plain, probed = run.Small(), Probed()
    run.trainer(tmp_path / "plain", recipe, network=plain).run()
    observed(tmp_path / "probed", probed, Onlooker(probed), recipe).run()
    for name, value in own(plain).items():
        assert np.array_equal(value, own(probed)[name]), name
    assert not np.array_equal(own(plain)["fc.weight"], own(run.Small())["fc.weight"])


def observed(folder, network, observer, recipe=run.RECIPE, test=run.test_accuracy):
    return Trainer(network, run.images(), run.PREPROCESSING, recipe, folder, {"network": "probed"}, test, observer)


@pytest.fixture
def no_picture(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr(curves, "plot", lambda *_: None)


def test_what_the_observer_returns_is_recorded(tmp_path, no_picture, pynative):
    network = Probed()
    observer = Watcher(network, finished=(False, True, False))
    history = observed(tmp_path, network, observer).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert observer.epochs == [0, 1, 2] and lines == history
    assert [line["finished"] for line in lines] == [False, True, False]
    assert lines[-1]["watched"] == network.sums.asnumpy().tolist()
    assert lines[-1]["factor"] == network.factor.asnumpy().item() < lines[0]["factor"] < 1


class Result:
    """A test result of a given accuracy."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def result(self):
        return {"acc": self.accuracy}


@pytest.mark.parametrize(
    ("finished", "accuracies", "best"),
    [
        ((False, False, False), (0.5, 0.6, 0.7), None),
        ((False, True, False), (0.9, 0.5, 0.8), 2),
        ((False, True, True), (0.9, 0.5, 0.6), 3),
        ((False, True, True), (0.9, 0.6, 0.5), 2),
        ((True, False, True), (0.5, 0.9, 0.5), 3),
        ((True, True, True), (0.9, 0.5, 0.6), 1),
    ],
)
def test_only_a_finished_network_can_be_the_best(tmp_path, no_picture, pynative, finished, accuracies, best):
    network, results = Probed(), list(map(Result, accuracies))
    observed(tmp_path, network, Watcher(network, finished), test=lambda _: results.pop(0)).run()
    assert (tmp_path / "best.ckpt").exists() == (best is not None)
    if best is not None:
        found = checkpoint.load(tmp_path / "best.ckpt")
        assert [record["epoch"] for record in found.metadata["history"]] == [best]
        assert found.tensors["factor"].item() == found.metadata["history"][0]["factor"]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_killed_and_resumed_is_bit_equal_with_the_memory_of_the_observer(tmp_path, monkeypatch, no_picture, pynative):
    """In the middle of epoch 2, which has changed the sums by then; epoch 1 has changed the network too."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    observed(straight, network := Probed(), Watcher(network)).run()
    update = trainer.Progress.update

    def deadly(self, *args, **values):
        if self._bar.desc == "epoch 2/3: " and self._bar.n:
            raise Killed
        update(self, *args, **values)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(trainer.Progress, "update", deadly)
        observed(killed, network := Probed(), Watcher(network)).run()
    saved = checkpoint.load(killed / "last.ckpt")
    assert len(saved.metadata["history"]) == 1 and saved.tensors["network/factor"].item() < 1
    assert (network.sums.asnumpy() > saved.tensors["network/sums"]).all()
    observed(killed, network := Probed(), resumed := Watcher(network)).run()
    assert resumed.epochs == [1, 2]
    for file in ("best.ckpt", "last.ckpt"):
        expected, found = (checkpoint.load(folder / file) for folder in (straight, killed))
        assert sorted(expected.tensors) == sorted(found.tensors)
        for name, value in expected.tensors.items():
            assert np.array_equal(value, found.tensors[name]), (file, name)
    for key in ("watched", "factor", "finished", "test_acc"):
        both = ([record[key] for record in state.metadata["history"]] for state in (expected, found))
        assert len({json.dumps(values) for values in both}) == 1, key


HISTORY = [
    {"epoch": 1, "loss": 2.0, "acc": 0.25, "test_acc": 0.2},
    {"epoch": 2, "loss": 1.0, "acc": 0.5, "test_acc": 0.6},
]


def check_picture(path):
    picture = imread(path)
    assert picture.ndim == 3 and min(picture.shape[:2]) > 100 and picture[..., :3].std() > 0.01


def test_a_run_draws_its_curves(tmp_path, pynative):
    run.trainer(tmp_path, replace(run.RECIPE, epochs=1)).run()
    check_picture(tmp_path / "curves.png")


def test_curves_of_what_epochs_record(tmp_path, monkeypatch):
    drawn, save = [], figure.save
    monkeypatch.setattr(figure, "save", lambda picture, path: (drawn.append(picture), save(picture, path)))
    curves.plot(HISTORY, tmp_path / "curves.png")
    check_picture(tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in accuracy.lines}
    assert lines == {"training": [[1, 0.25], [2, 0.5]], "test": [[1, 0.2], [2, 0.6]]}
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 2], [2, 1]]]
    curves.plot([{**HISTORY[0]}, {"epoch": 2, "loss": 1, "acc": 0.5}], tmp_path / "curves.png")
    lines = {line.get_label(): line.get_xydata().tolist() for line in drawn[1].axes[1].lines}
    assert lines == {"training": [[1, 0.25], [2, 0.5]], "test": [[1, 0.2]]}  # not every epoch is tested


@pytest.mark.parametrize("place", ["folder", "absent/curves.png", "file/curves.png"])
def test_picture_that_cannot_be_written(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no folder")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"cannot write .*{place}.*--output_dir") as caught:
        curves.plot(HISTORY, tmp_path / place)
    assert "\n" not in str(caught.value) and sorted(tmp_path.rglob("*")) == before
