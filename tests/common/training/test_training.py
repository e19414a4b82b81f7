"""Runs of the training engine: one that is killed against one that is not, and what a folder must hold."""

import json
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
from common.errors import CheckpointError, ConfigError, DataError
from common.runtime.context import execution_mode
from common.training.schedules import Schedule
from common.training.step import Recipe

ROOT = Path(__file__).resolve().parents[3]
CONSTANT = Schedule("constant", 0.05)


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """PyNative mode has nothing to compile for a network of this size; what matters is repeated in graph mode."""
    with execution_mode("pynative"):
        yield


def final_state(folder):
    """All that decides how a run goes on, and what it reported; wall time left out."""
    found = checkpoint.load(folder / "last.ckpt")
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in found.metadata["history"]]
    return found.tensors, history


def check_equal(folder, straight):
    """Bit for bit, and reports that agree with the checkpoint."""
    (tensors, history), (expected, expected_history) = final_state(folder), final_state(straight)
    assert sorted(tensors) == sorted(expected)
    for name, value in expected.items():
        assert value.dtype == tensors[name].dtype and np.array_equal(value, tensors[name]), name
    for record, wanted in zip(history, expected_history, strict=True):
        # MindSpore's loss value (not its gradient) may differ in the last bit with the alignment of its buffers.
        assert record.pop("loss") == pytest.approx(wanted.pop("loss"), rel=1e-6)
    assert history == expected_history
    best, expected_best = (checkpoint.load(f / "best.ckpt").tensors for f in (folder, straight))
    assert all(np.array_equal(best[name], value) for name, value in expected_best.items())
    check_reports(folder)
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(".tmp")) == sorted(
        path.name for path in straight.iterdir()
    )


def check_reports(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == checkpoint.load(folder / "last.ckpt").metadata["history"]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    history = run.trainer(folder).run()
    assert len(history) == run.RECIPE.epochs
    return folder


def test_checkpoint_holds_the_optimizer(straight):
    tensors = final_state(straight)[0]
    assert {"network/conv.weight", "network/norm.moving_mean"} <= set(tensors)
    found = {name.split(".", 1)[1]: value for name, value in tensors.items() if name.startswith("optimizer/")}
    assert {f"moments.{name}" for name in run.trained(run.Small())} <= set(found)
    assert found["moments.fc.bias"].any()
    assert found["global_step"].item() == run.RECIPE.epochs * run.STEPS


def test_history(straight):
    records = final_state(straight)[1]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    keys = {"epoch", "loss", "acc", "test_acc", "test_top_5_acc", "test_loss", "test_samples"}
    assert all(set(record) == keys for record in records)
    best = max(record["test_acc"] for record in records)
    assert checkpoint.load(straight / "best.ckpt").metadata["history"][0]["test_acc"] == best
    check_reports(straight)


@pytest.mark.parametrize(("every", "tested"), [(2, [2, 3]), (3, [3]), (9, [3])])
def test_tests_now_and_then_change_nothing_else(straight, tmp_path, every, tested):
    """The best network is the best of those that were tested; the last one always is."""
    run.trainer(tmp_path, test_every=every).run()
    (tensors, history), (expected, wanted) = final_state(tmp_path), final_state(straight)
    assert all(np.array_equal(tensors[name], value) for name, value in expected.items())
    scores = {record["epoch"]: record["test_acc"] for record in history if "test_acc" in record}
    assert scores == {record["epoch"]: record["test_acc"] for record in wanted if record["epoch"] in tested}
    best = max(tested, key=lambda epoch: (scores[epoch], epoch))
    assert checkpoint.load(tmp_path / "best.ckpt").metadata["history"][0]["epoch"] == best


def test_the_same_run_again_is_the_same(straight, tmp_path):
    run.trainer(tmp_path).run()
    check_equal(tmp_path, straight)


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
    assert len(final_state(killed)[1]) == 1
    kill(killed, "last.ckpt", "before")
    assert len(final_state(killed)[1]) == 1
    assert list(killed.glob(".last.ckpt.*.tmp"))
    with execution_mode("graph"):
        run.trainer(killed).run()
        run.trainer(straight).run()
    check_equal(killed, straight)


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
    ],
)
def test_ended_at_any_rename(straight, tmp_path, monkeypatch, name, after, renames):
    monkeypatch.setattr("common.files.atomic_file.os.replace", os.replace)  # puts the real one back in the end
    run.kill_around_rename(name, renames, after, stop)
    with pytest.raises(Killed):
        run.trainer(tmp_path).run()
    monkeypatch.undo()
    run.trainer(tmp_path).run()
    check_equal(tmp_path, straight)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": replace(run.RECIPE, epochs=4)},
        {"recipe": replace(run.RECIPE, seed=6)},
        {"recipe": replace(run.RECIPE, schedule=Schedule("cosine", 0.06, warmup_epochs=1))},
        {"recipe": replace(run.RECIPE, optimizer="adam")},
        {"source": run.images(21)},
        {"metadata": {"network": "other"}},
    ],
    ids=["epochs", "seed", "rate", "optimizer", "data", "network"],
)
def test_another_run_in_the_folder(straight, tmp_path, change):
    shutil.copytree(straight, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run.trainer(tmp_path / "copy", **change).run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == before


def damaged(content, kind):
    if kind == "empty":
        return b""
    if kind == "half":
        return content[: len(content) // 2]
    if kind == "short":
        return content[:-1]
    if kind == "byte":
        return content[:-300] + bytes([content[-300] ^ 1]) + content[-299:]
    return b"not a checkpoint " * 100


@pytest.mark.parametrize("kind", ["empty", "half", "short", "byte", "text"])
def test_damaged_checkpoint(straight, tmp_path, kind):
    last = tmp_path / "last.ckpt"
    last.write_bytes(damaged((straight / "last.ckpt").read_bytes(), kind))
    before = last.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        run.trainer(tmp_path).run()
    assert "last.ckpt" in str(caught.value) and "\n" not in str(caught.value)
    assert last.read_bytes() == before


def test_checkpoint_of_something_else(straight, tmp_path):
    shutil.copy(straight / "best.ckpt", tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run.trainer(tmp_path).run()


def test_starting_anew(straight, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    run.trainer(tmp_path).run(resume=False)
    check_equal(tmp_path, straight)


def test_a_parameter_that_is_no_number_is_not_kept(tmp_path):
    """BatchNorm's moving mean has no part in the loss of training."""
    trainer = run.trainer(tmp_path)
    hidden = next(p for p in trainer.network.get_parameters() if "moving_mean" in p.name)
    hidden.set_data(Tensor(np.full(hidden.shape, np.nan, np.float32)))
    with pytest.raises(ConfigError, match=r"moving_mean is not finite after epoch 1: training diverged"):
        trainer.run()
    assert not (tmp_path / "last.ckpt").exists()


def test_divergence(tmp_path):
    recipe = replace(run.RECIPE, schedule=Schedule("constant", 1e30), clip_norm=None)
    with pytest.raises(ConfigError, match=r"epoch [12].*diverged.*learning rate"):
        run.trainer(tmp_path, recipe, test=None).run()


def test_fewer_images_than_a_batch(tmp_path):
    with pytest.raises(DataError, match="5 training images do not fill a batch of 6"):
        run.trainer(tmp_path / "run", source=run.images(5))
    assert not (tmp_path / "run").exists()


def test_unknown_optimizer(tmp_path):
    with pytest.raises(ConfigError, match="optimizer: expected sgd or adam, found 'lion'"):
        run.trainer(tmp_path, replace(run.RECIPE, optimizer="lion"))


def test_images_that_can_be_learned_are_learned(tmp_path):
    """Four colours, four classes."""
    labels = (np.arange(24) % 4).astype(np.int32)
    colours = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 250]], np.uint8)
    images = np.broadcast_to(colours[labels][:, None, None], (24, 8, 8, 3)).copy()
    recipe = Recipe(6, 8, Schedule("cosine", 0.05), optimizer="adam")
    history = run.trainer(tmp_path, recipe, ImageArrays(images, labels, 4), test=None).run()
    assert history[-1]["acc"] == 1 and history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_again_is_a_run_of_a_new_trainer(tmp_path, optimizer):
    recipe = replace(run.RECIPE, epochs=2, optimizer=optimizer)
    network = run.Small()
    first = run.trainer(tmp_path / "first", recipe, network=network)
    first.run()
    start = network_state.state(network)
    first.again(tmp_path / "second", {"network": "small", "part": 2})
    history, ended = first.run(), network_state.state(network)
    other = run.Small()
    network_state.restore(other, start)
    run.trainer(tmp_path / "third", recipe, network=other, metadata={"network": "small", "part": 2}).run()
    assert len(history) == 2 and all(
        np.array_equal(ended[name], value) for name, value in network_state.state(other).items()
    )
    assert any(not np.array_equal(start[name], value) for name, value in ended.items())
    written = [checkpoint.load(tmp_path / name / "last.ckpt") for name in ("second", "third")]
    assert written[0].metadata["run"] == written[1].metadata["run"]
    assert all(np.array_equal(value, written[1].tensors[name]) for name, value in written[0].tensors.items())
