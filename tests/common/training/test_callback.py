"""What a callback sees of a training and may not change."""

import json
from dataclasses import replace

import numpy as np
import pytest
import training_run as run
from callback_samples import SHIFT, STRETCH, Onlooker, Probed, Watcher, observed, trained_part
from mindspore import Tensor

from common import checkpoint
from common.training import trainer
from common.training.step import TrainStep, make_optimizer


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
    assert not np.array_equal(trained_part(network)["fc.weight"], trained_part(Probed())["fc.weight"])


def test_training_is_that_without_a_callback(tmp_path, no_picture, pynative):
    """Bit for bit, also where gradients are clipped by their common norm."""
    config = replace(run.CONFIG, epochs=1, grad_clip_norm=0.05)
    plain, probed = run.Small(), Probed()
    run.trainer(tmp_path / "plain", config, network=plain).run()
    observed(tmp_path / "probed", probed, Onlooker(probed), config=config).run()
    for name, value in trained_part(plain).items():
        assert np.array_equal(value, trained_part(probed)[name]), name
    assert not np.array_equal(trained_part(plain)["fc.weight"], trained_part(run.Small())["fc.weight"])


def test_what_the_callback_returns_is_recorded(tmp_path, no_picture, pynative):
    network = Probed()
    callback = Watcher(network, finished=(False, True, False))
    history = observed(tmp_path, network, callback, validate=None).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert callback.epochs == [0, 1, 2] and lines == history
    assert [line["finished"] for line in lines] == [False, True, False]
    assert lines[-1]["watched"] == network.sums.asnumpy().tolist()
    assert lines[-1]["factor"] == network.factor.asnumpy().item() < lines[0]["factor"] < 1


class Result:
    """Metrics of a given accuracy."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def result(self):
        return {"acc": self.accuracy, "samples": 16}


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
    validate = {"validate": lambda _: results.pop(0)}
    observed(tmp_path, network, Watcher(network, finished), **validate).run()
    assert (tmp_path / "best.ckpt").exists() == (best is not None)
    if best is not None:
        saved = checkpoint.load(tmp_path / "best.ckpt")
        assert [record["epoch"] for record in saved.metadata["history"]] == [best]
        assert saved.tensors["factor"].item() == saved.metadata["history"][0]["factor"]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_killed_and_resumed_is_bit_equal_with_the_memory_of_the_callback(tmp_path, monkeypatch, no_picture, pynative):
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
        expected, continued = (checkpoint.load(folder / file) for folder in (straight, killed))
        assert sorted(expected.tensors) == sorted(continued.tensors)
        for name, value in expected.tensors.items():
            assert np.array_equal(value, continued.tensors[name]), (file, name)
    for key in ("watched", "factor", "finished", "validation_acc"):
        both = ([record[key] for record in state.metadata["history"]] for state in (expected, continued))
        assert len({json.dumps(values) for values in both}) == 1, key
