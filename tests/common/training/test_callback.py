"""What a callback sees of a training and may not change."""

import json
from dataclasses import replace

import numpy as np
import pytest
import training_run as run
from mindspore import Parameter, ParameterTuple, Tensor, ops

from common import checkpoint
from common.checkpoint import network_state
from common.report import curves
from common.training import Callback, trainer
from common.training.callback import combined
from common.training.step import TrainStep, make_optimizer, trained_parameters

SHIFT, STRETCH = np.array([0.1, -0.2, 0.3, 0], np.float32), np.array([1, 2], np.float32)


class Probed(run.Small):
    """Adds ``shift`` to the logits and multiplies two of them by ``stretch``; the rest is the callback's memory."""

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


class Watcher(Callback):
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
    """The parameters that :class:`run.Small` has too, but not what the callback works with."""
    names = dict(run.Small().parameters_and_names())
    return {name: value for name, value in network_state.state(network).items() if name in names}


def softmax_error(logits, labels, smoothing):
    """Gradient of the mean cross-entropy for the logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    return (p / p.sum(1, keepdims=True) - (1 - smoothing) * np.eye(4)[labels] - smoothing / 4) / len(labels)


def test_gradients_reach_the_callback_and_do_not_move_what_it_watches(mode):
    """Unclipped, in the order of the callback's parameters, summed over the steps."""
    network, config = Probed(SHIFT, STRETCH), replace(run.CONFIG, grad_clip_norm=0.05)
    watched = Watcher(network)
    trained = [p for p in network.trainable_params() if p.name not in ("shift", "stretch")]
    step = TrainStep(network, make_optimizer(trained, config, 3), config, watched)
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


def test_training_is_that_without_a_callback(tmp_path, no_picture, pynative):
    """Bit for bit, also where gradients are clipped by their common norm."""
    config = replace(run.CONFIG, epochs=1, grad_clip_norm=0.05)
    plain, probed = run.Small(), Probed()
    run.trainer(tmp_path / "plain", config, network=plain).run()
    observed(tmp_path / "probed", probed, Onlooker(probed), config=config).run()
    for name, value in own(plain).items():
        assert np.array_equal(value, own(probed)[name]), name
    assert not np.array_equal(own(plain)["fc.weight"], own(run.Small())["fc.weight"])


def observed(folder, network, *callbacks, config=run.CONFIG, test=run.test_accuracy):
    about = {"metadata": {"network": "probed"}, "callbacks": callbacks}
    return run.trainer(folder, config, network=network, test=test, **about)


@pytest.fixture
def no_picture(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr(curves, "plot", lambda *_: None)


def test_what_the_callback_returns_is_recorded(tmp_path, no_picture, pynative):
    network = Probed()
    callback = Watcher(network, finished=(False, True, False))
    history = observed(tmp_path, network, callback).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert callback.epochs == [0, 1, 2] and lines == history
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


def test_killed_and_resumed_is_bit_equal_with_the_memory_of_the_callback(tmp_path, monkeypatch, no_picture, pynative):
    """In the middle of epoch 2, which has changed the sums by then; epoch 1 has changed the network too."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    observed(straight, network := Probed(), Watcher(network)).run()
    update = trainer.Progress.update

    def deadly(self, *args, **values):
        if self.label == "epoch 2/3" and self.done:
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


class Decay(Callback):
    """Keeps the last gradient of ``stretch``, which another callback watches too."""

    def __init__(self, network, finished):
        super().__init__([network.stretch])
        self.last, self.answer = network.last, finished

    def construct(self, gradients):
        ops.assign(self.last, gradients[0])
        return gradients

    def after_epoch(self, epoch):
        return {"decay": epoch, "watched": "overwritten"}

    def finished(self):
        return self.answer


class Shifts(Callback):
    """Adds up the gradients of ``shift``."""

    def __init__(self, network):
        super().__init__([network.stretch, network.shift])
        self.sums = network.sums

    def construct(self, gradients):
        ops.assign_add(self.sums, ops.abs(gradients[1]))
        return gradients

    def after_epoch(self, epoch):
        return {"watched": epoch}


def test_each_of_several_callbacks_gets_the_gradients_of_its_parameters(mode):
    """In its order, those of a parameter that two of them watch to both; one watches nothing."""
    rng, memories = np.random.default_rng(0), []
    x, labels = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32)
    for make in (
        lambda network: [Onlooker(network)],
        lambda network: [Decay(network, True), Callback(), Shifts(network)],
    ):
        network = Probed(SHIFT, STRETCH)
        callback = combined(make(network))
        optimizer = make_optimizer(trained_parameters(network, callback), run.CONFIG, 3)
        step = TrainStep(network, optimizer, run.CONFIG, callback)
        step.set_train(True)
        step(Tensor(x), Tensor(labels))
        assert np.array_equal(network.shift.asnumpy(), SHIFT) and np.array_equal(network.stretch.asnumpy(), STRETCH)
        memories.append((network.sums.asnumpy(), network.last.asnumpy(), own(network)["fc.weight"]))
    assert memories[0][0].any() and memories[0][1].any()
    for one, several in zip(*memories):
        np.testing.assert_allclose(one, several, rtol=1e-6)


@pytest.mark.parametrize("answer", [True, False])
def test_records_and_ends_of_several_callbacks_combine(tmp_path, no_picture, pynative, answer):
    network = Probed()
    history = observed(tmp_path, network, Decay(network, answer), Shifts(network)).run()
    assert [(line["decay"], line["watched"], line["finished"]) for line in history] == [
        (i, i, answer) for i in range(3)
    ]
    assert (tmp_path / "best.ckpt").exists() == answer
