"""Which epoch's network a run ends with, and when the test images are looked at."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import training_run as run

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError, ConfigError
from common.training import OtherRunError, TrainData
from common.training.selection import chosen, selection_rule


class Result:
    """Metrics of a given accuracy."""

    def __init__(self, accuracy, samples=16):
        self.values = {"acc": accuracy, "samples": samples}

    def result(self):
        return self.values


def trained(folder, accuracies, test=0.25, **options):
    """A run whose validations give these accuracies, and the states of its network at each of them and at its test."""
    states, tested, scores = [], [], list(accuracies or ())

    def validate(network):
        states.append(network_state.state(network))
        return Result(scores.pop(0))

    def measure(network):
        tested.append(network_state.state(network))
        return Result(test, 12)

    trainer = run.trainer(folder, validate=validate if accuracies else None, test=measure, **options)
    trainer.run()
    return trainer, states, tested


def same(one, other):
    return sorted(one) == sorted(other) and all(np.array_equal(one[name], value) for name, value in other.items())


@pytest.mark.parametrize(("accuracies", "best"), [((0.2, 0.9, 0.5), 2), ((0.7, 0.2, 0.7), 3), ((0.9, 0.8, 0.8), 1)])
def test_the_test_is_of_the_epoch_that_is_best_on_the_validation_images(
    tmp_path, no_picture, pynative, accuracies, best
):
    trainer, states, tested = trained(tmp_path, accuracies)
    assert len(states) == 3 and len(tested) == 1 and same(tested[0], states[best - 1])
    assert same(network_state.state(trainer.network), states[best - 1])
    for file in ("best.ckpt", "final.ckpt"):
        assert same(checkpoint.load(tmp_path / file).tensors, states[best - 1]), file
    last = checkpoint.load(tmp_path / "last.ckpt")
    assert same({n: last.tensors[f"network/{n}"] for n in states[2]}, states[2])
    assert [r["epoch"] for r in last.metadata["history"] if "test_acc" in r] == [trainer.chosen["epoch"]] == [best]
    rule = "best of 3 epochs on 16 validation images"
    assert (
        checkpoint.load(tmp_path / "final.ckpt").metadata["training"]["selection"]
        == selection_rule(trainer.history)
        == rule
    )


def test_without_validation_images_it_is_the_last_epoch(tmp_path, no_picture, pynative):
    trainer, states, tested = trained(tmp_path, None)
    assert not states and len(tested) == 1 and trainer.chosen is trainer.history[2]
    final = checkpoint.load(tmp_path / "final.ckpt")
    assert same(final.tensors, tested[0]) and final.metadata["training"]["selection"] == "last epoch"
    assert not (tmp_path / "best.ckpt").exists() and ["test_acc" in r for r in trainer.history] == [False, False, True]


def test_the_same_command_again_takes_the_best_network_and_tests_nothing(tmp_path, no_picture, pynative):
    _, states, _ = trained(tmp_path, (0.2, 0.9, 0.5))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again, nothing, tested = trained(tmp_path, (0.1,))
    assert not nothing and not tested and same(network_state.state(again.network), states[1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_that_starts_anew_leaves_nothing_of_the_one_before(tmp_path, no_picture, pynative):
    trained(tmp_path, (0.2, 0.9, 0.5))
    run.trainer(tmp_path, validate=None).run(go_on=False)
    assert not (tmp_path / "best.ckpt").exists()
    assert checkpoint.load(tmp_path / "final.ckpt").metadata["training"]["selection"] == "last epoch"


@pytest.mark.parametrize("content", ["last.ckpt", "other"])
def test_a_best_network_of_something_else_is_refused(tmp_path, no_picture, pynative, content):
    trained(tmp_path, (0.2, 0.9, 0.5))
    for name in ("final.ckpt", "best.ckpt"):
        (tmp_path / name).unlink()
    if content == "other":
        checkpoint.save(tmp_path / "best.ckpt", network_state.state(run.Small()), {"history": [{"epoch": 3}]})
    else:
        shutil.copy(tmp_path / content, tmp_path / "best.ckpt")
    with pytest.raises(CheckpointError, match=r"best.ckpt: expected the network of epoch 2, found another; start anew"):
        trained(tmp_path, (0.1,))


def test_no_epochs_are_no_choice(tmp_path, no_picture, pynative):
    trainer, states, tested = trained(tmp_path, (0.5,), config=replace(run.CONFIG, epochs=0))
    assert len(states) == len(tested) == 1 and selection_rule(trainer.history) == "no training"
    assert trainer.history[0]["validation_acc"] == 0.5 and trainer.history[0]["test_acc"] == 0.25
    assert (tmp_path / "final.ckpt").exists() and not (tmp_path / "best.ckpt").exists()


def test_other_validation_images_are_another_run(tmp_path, no_picture, pynative):
    run.trainer(tmp_path).run()
    with pytest.raises(OtherRunError):
        run.trainer(tmp_path, validate=None).run()


def test_validation_images_go_with_a_function_that_measures_on_them(tmp_path):
    made = run.trainer(tmp_path)
    with pytest.raises(ConfigError, match="validate: expected it together with validation images"):
        type(made)(
            network=run.Small(),
            data=TrainData(run.images(), run.PREPROCESSING, run.images(4)),
            config=run.CONFIG,
            run=run.Run(tmp_path),
        )


def test_epochs_that_are_not_finished_are_no_rivals():
    history = [{"epoch": e, "validation_acc": a, "validation_samples": 9, "finished": f}
               for e, a, f in ((1, 0.9, False), (2, 0.5, True), (3, 0.4, True))]  # fmt: skip
    assert chosen(history)["epoch"] == 2 and selection_rule(history) == "best of 2 epochs on 9 validation images"
    unfinished = [{**record, "finished": False} for record in history]
    assert chosen(unfinished)["epoch"] == 3 and selection_rule(unfinished) == "last epoch"
