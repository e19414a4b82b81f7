"""Runs of the training engine: one that is killed against one that is not, and what a folder must hold."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training_run as run
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import network_state
from common.data import ImageArrays
from common.errors import ConfigError, DataError
from common.runtime.context import execution_mode
from common.training import Schedule, TrainConfig

ROOT = Path(__file__).resolve().parents[3]
CONSTANT = Schedule("constant", 0.05)


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """PyNative mode has nothing to compile for a network of this size; what matters is repeated in graph mode."""
    with execution_mode("pynative"):
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    history = run.trainer(folder).run()
    assert len(history) == run.CONFIG.epochs
    return folder


def test_checkpoint_holds_the_optimizer(straight):
    tensors = run.final_state(straight)[0]
    assert {"network/conv.weight", "network/norm.moving_mean"} <= set(tensors)
    state = {name.split(".", 1)[1]: value for name, value in tensors.items() if name.startswith("optimizer/")}
    assert {f"moments.{name}" for name in run.trained(run.Small())} <= set(state)
    assert state["moments.fc.bias"].any()
    assert state["global_step"].item() == run.CONFIG.epochs * run.STEPS


def test_history(straight):
    records = run.final_state(straight)[1]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    keys = {"epoch", "loss", "acc"} | {f"validation_{key}" for key in ("acc", "top_5_acc", "loss", "samples")}
    tested = [record["epoch"] for record in records if "test_acc" in record]
    assert all(keys <= set(record) for record in records) and len(tested) == 1
    best = max(record["validation_acc"] for record in records)
    saved = checkpoint.load(straight / "best.ckpt").metadata["history"][0]
    assert saved["validation_acc"] == best and tested == [saved["epoch"]]
    run.check_reports(straight)


@pytest.mark.parametrize(("every", "validated"), [(2, [2, 3]), (3, [3]), (9, [3])])
def test_validations_now_and_then_change_nothing_else(straight, tmp_path, every, validated):
    """The best network is the best of those that were validated; the last one always is."""
    run.trainer(tmp_path, validate_every=every).run()
    (tensors, history), (expected, wanted) = run.final_state(tmp_path), run.final_state(straight)
    assert all(np.array_equal(tensors[name], value) for name, value in expected.items())
    scores = {record["epoch"]: record["validation_acc"] for record in history if "validation_acc" in record}
    assert scores == {record["epoch"]: record["validation_acc"] for record in wanted if record["epoch"] in validated}
    best = max(validated, key=lambda epoch: (scores[epoch], epoch))
    assert checkpoint.load(tmp_path / "best.ckpt").metadata["history"][0]["epoch"] == best


def test_the_same_run_again_is_the_same(straight, tmp_path):
    run.trainer(tmp_path).run()
    run.check_equal(tmp_path, straight)


def test_a_finished_run_is_left_as_it_is(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "copy")
    before = (tmp_path / "copy" / "last.ckpt").read_bytes()
    history = run.trainer(tmp_path / "copy").run()
    assert history == checkpoint.load(straight / "last.ckpt").metadata["history"]
    assert (tmp_path / "copy" / "last.ckpt").read_bytes() == before


def kill(folder, *point):
    command = [sys.executable, str(Path(run.__file__)), str(folder), *point]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_killed_and_resumed_in_graph_mode_is_bit_equal(tmp_path):
    """SIGKILL in the middle of epoch 2 and while epoch 2 is being saved."""
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    kill(killed, "mid-epoch")
    assert len(run.final_state(killed)[1]) == 1
    kill(killed, "last.ckpt", "before")
    assert len(run.final_state(killed)[1]) == 1
    assert list(killed.glob(".last.ckpt.*.tmp"))
    with execution_mode("graph"):
        run.trainer(killed).run()
        run.trainer(straight).run()
    run.check_equal(killed, straight)


class Killed(BaseException):
    """Stands for the end of the process where a real one would take too long."""


def stop():
    raise Killed


@pytest.mark.parametrize(
    ("name", "renames", "after"),
    [
        ("best.ckpt", 1, False),
        ("last.ckpt", 1, False),
        ("last.ckpt", 1, True),
        ("metrics.jsonl", 1, False),
        ("last.ckpt", 3, True),
        ("metrics.jsonl", 3, False),
        ("final.ckpt", 1, False),
        ("final.ckpt", 1, True),
        ("last.ckpt", 4, True),
    ],
)
def test_ended_at_any_rename(straight, tmp_path, monkeypatch, name, after, renames):
    monkeypatch.setattr("common.files.atomic_file.os.replace", os.replace)  # puts the real one back in the end
    run.kill_around_rename(name, renames, after, stop)
    with pytest.raises(Killed):
        run.trainer(tmp_path).run()
    monkeypatch.undo()
    run.trainer(tmp_path).run()
    run.check_equal(tmp_path, straight)


def test_a_parameter_that_is_no_number_is_not_kept(tmp_path):
    """BatchNorm's moving mean has no part in the loss of training."""
    trainer = run.trainer(tmp_path)
    hidden = next(p for p in trainer.network.get_parameters() if "moving_mean" in p.name)
    hidden.set_data(Tensor(np.full(hidden.shape, np.nan, np.float32)))
    with pytest.raises(ConfigError, match=r"moving_mean is not finite after epoch 1: training diverged"):
        trainer.run()
    assert not (tmp_path / "last.ckpt").exists()


def test_divergence(tmp_path):
    config = replace(run.CONFIG, schedule=Schedule("constant", 1e30), grad_clip_norm=None)
    with pytest.raises(ConfigError, match=r"epoch [12].*diverged.*learning rate"):
        run.trainer(tmp_path, config, test=None).run()


def test_fewer_images_than_a_batch(tmp_path):
    with pytest.raises(DataError, match="5 training images do not fill a batch of 6"):
        run.trainer(tmp_path / "run", source=run.images(5))
    assert not (tmp_path / "run").exists()


def test_unknown_optimizer(tmp_path):
    with pytest.raises(ConfigError, match="optimizer: expected sgd or adam, found 'lion'"):
        run.trainer(tmp_path, replace(run.CONFIG, optimizer="lion"))


def test_images_that_can_be_learned_are_learned(tmp_path):
    """Four colours, four classes."""
    labels = (np.arange(24) % 4).astype(np.int32)
    colours = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 250]], np.uint8)
    images = np.broadcast_to(colours[labels][:, None, None], (24, 8, 8, 3)).copy()
    config = TrainConfig(6, 8, Schedule("cosine", 0.05), optimizer="adam")
    history = run.trainer(tmp_path, config, ImageArrays(images, labels, 4), test=None).run()
    assert history[-1]["acc"] == 1 and history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_again_is_a_run_of_a_new_trainer(tmp_path, optimizer):
    config = replace(run.CONFIG, epochs=2, optimizer=optimizer)
    network = run.Small()
    first = run.trainer(tmp_path / "first", config, network=network)
    first.run()
    start = network_state.state(network)
    first.reset(tmp_path / "second", {"network": "small", "part": 2})
    history, ended = first.run(), network_state.state(network)
    other = run.Small()
    network_state.restore(other, start)
    run.trainer(tmp_path / "third", config, network=other, metadata={"network": "small", "part": 2}).run()
    assert len(history) == 2 and all(
        np.array_equal(ended[name], value) for name, value in network_state.state(other).items()
    )
    assert any(not np.array_equal(start[name], value) for name, value in ended.items())
    written = [checkpoint.load(tmp_path / name / "last.ckpt") for name in ("second", "third")]
    assert written[0].metadata["run"] == written[1].metadata["run"]
    assert all(np.array_equal(value, written[1].tensors[name]) for name, value in written[0].tensors.items())
