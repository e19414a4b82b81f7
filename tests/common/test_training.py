"""The training engine: steps against PyTorch, and runs that are killed against one that is not."""

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
from common.context import execution_mode
from common.data import ImageArrays
from common.errors import CheckpointError, ConfigError, DataError
from common.schedules import Schedule
from common.training import Recipe, TrainStep, make_optimizer

ROOT = Path(__file__).resolve().parents[2]
CONSTANT = Schedule("constant", 0.05)


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """PyNative mode has nothing to compile for a network of this size; what matters is repeated in graph mode."""
    with execution_mode("pynative"):
        yield


def trained(network):
    """Trainable parameters by their place in the network (their own names change in a training step)."""
    return {name: p.asnumpy() for name, p in network.parameters_and_names() if p.requires_grad}


def torch_copy(torch, network):
    """The same network in PyTorch, with the names of ours."""
    conv, fc = torch.nn.Conv2d(3, 6, 3, 2, 1, bias=False), torch.nn.Linear(6, 4)
    norm = torch.nn.BatchNorm2d(6)
    ours = {name: torch.tensor(value) for name, value in trained(network).items()}
    theirs = {
        "conv.weight": conv.weight,
        "norm.gamma": norm.weight,
        "norm.beta": norm.bias,
        "fc.weight": fc.weight,
        "fc.bias": fc.bias,
    }
    assert set(ours) == set(theirs)
    with torch.no_grad():
        for name, parameter in theirs.items():
            parameter.copy_(ours[name])
    return (lambda x: fc(norm(conv(x)).relu().mean((2, 3)))), theirs


class PaperAdam:
    """Adam in the efficient order of Kingma & Ba's section 2, which MindSpore follows: PyTorch's epsilon is another."""

    def __init__(self, parameters, rate, weight_decay):
        self.parameters, self.rate, self.weight_decay, self.time = list(parameters), rate, weight_decay, 0
        self.m, self.v = ([p.detach().numpy() * 0 for p in self.parameters] for _ in range(2))

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        self.time += 1
        rate = self.rate * (1 - 0.999**self.time) ** 0.5 / (1 - 0.9**self.time)
        for i, parameter in enumerate(self.parameters):
            value = parameter.detach().numpy()
            gradient = parameter.grad.numpy() + self.weight_decay * value
            self.m[i] = 0.9 * self.m[i] + 0.1 * gradient
            self.v[i] = 0.999 * self.v[i] + 0.001 * gradient**2
            value -= rate * self.m[i] / (np.sqrt(self.v[i]) + 1e-8)  # in place: the parameter's own memory


def torch_optimizer(torch, parameters, recipe):
    if recipe.optimizer == "adam":
        return PaperAdam(parameters, recipe.schedule.base, recipe.weight_decay)
    return torch.optim.SGD(parameters, recipe.schedule.base, recipe.momentum, weight_decay=recipe.weight_decay)


def torch_step(torch, forward, parameters, optimizer, recipe, x, labels):
    loss = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)(forward(x), labels)
    optimizer.zero_grad()
    loss.backward()
    if recipe.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    optimizer.step()
    return loss.item()


SETTINGS = {
    "sgd": {},
    "sgd without momentum": {"momentum": 0.0},
    "weight decay": {"weight_decay": 0.1},
    "clipped": {"clip_norm": 0.05},
    "clip norm above the gradient": {"clip_norm": 1e4},
    "label smoothing": {"label_smoothing": 0.3},
    "all at once": {"weight_decay": 0.1, "clip_norm": 0.05, "label_smoothing": 0.3},
    "adam": {"optimizer": "adam"},
    "adam with weight decay": {"optimizer": "adam", "weight_decay": 0.1},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_steps_are_those_of_pytorch(setting):
    check_steps(setting)


@pytest.mark.parametrize("setting", ["all at once", "adam with weight decay"])
def test_steps_in_graph_mode_are_those_of_pytorch(setting):
    with execution_mode("graph"):
        check_steps(setting)


def check_steps(setting):
    torch = pytest.importorskip("torch")
    recipe = Recipe(1, 8, CONSTANT, **SETTINGS[setting])
    network = run.Small()
    forward, theirs = torch_copy(torch, network)
    optimizer = torch_optimizer(torch, theirs.values(), recipe)
    ours = make_optimizer(network.trainable_params(), recipe, 3)
    step = TrainStep(network, ours, recipe.label_smoothing, recipe.clip_norm)
    step.set_train(True)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, labels = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 8)
        loss, _ = step(Tensor(x), Tensor(labels.astype(np.int32)))
        batch = torch.tensor(x), torch.tensor(labels)
        expected = torch_step(torch, forward, list(theirs.values()), optimizer, recipe, *batch)
        assert float(loss.asnumpy()) == pytest.approx(expected, rel=1e-5)
    # Adam divides by the gradient's own size: the rounding of the smallest gradients is amplified.
    tolerance = 1e-4 if recipe.optimizer == "adam" else 2e-6
    for name, value in trained(network).items():
        assert np.abs(value - theirs[name].detach().numpy()).max() < tolerance, name


def test_a_whole_run_is_that_of_pytorch(tmp_path):
    """Order of the images, learning rate of each step, and the means that are reported."""
    torch = pytest.importorskip("torch")
    recipe = replace(run.RECIPE, augment=False, schedule=Schedule("multistep", 0.1, (1, 2), 0.5), clip_norm=None)
    network, source = run.Small(), run.images()
    forward, theirs = torch_copy(torch, network)
    history = run.trainer(tmp_path, recipe, source, network, test=None).run()
    optimizer = torch_optimizer(torch, theirs.values(), recipe)
    for epoch, rate in enumerate((0.1, 0.05, 0.025)):
        order, losses, correct = np.random.default_rng((recipe.seed, epoch)).permutation(20), [], 0
        optimizer.param_groups[0]["lr"] = rate
        for step in range(run.STEPS):
            chosen = order[step * run.BATCH : (step + 1) * run.BATCH]
            pixels = source.images[chosen].transpose(0, 3, 1, 2) / 255
            mean, std = (np.array(v)[:, None, None] for v in (run.PREPROCESSING.mean, run.PREPROCESSING.std))
            x, labels = torch.tensor((pixels - mean) / std).float(), torch.tensor(source.labels[chosen]).long()
            with torch.no_grad():
                correct += (forward(x).argmax(1) == labels).sum().item()
            losses.append(torch_step(torch, forward, list(theirs.values()), optimizer, recipe, x, labels))
        assert history[epoch]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert history[epoch]["acc"] == correct / 18
    for name, value in trained(network).items():
        assert np.abs(value - theirs[name].detach().numpy()).max() < 1e-5, name


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
    assert {f"moments.{name}" for name in trained(run.Small())} <= set(found)
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
    monkeypatch.setattr("common.atomic_file.os.replace", os.replace)  # puts the real one back in the end
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
    start = checkpoint.state(network)
    first.again(tmp_path / "second", {"network": "small", "part": 2})
    history, ended = first.run(), checkpoint.state(network)
    other = run.Small()
    checkpoint.restore(other, start)
    run.trainer(tmp_path / "third", recipe, network=other, metadata={"network": "small", "part": 2}).run()
    assert len(history) == 2 and all(
        np.array_equal(ended[name], value) for name, value in checkpoint.state(other).items()
    )
    assert any(not np.array_equal(start[name], value) for name, value in ended.items())
    written = [checkpoint.load(tmp_path / name / "last.ckpt") for name in ("second", "third")]
    assert written[0].metadata["run"] == written[1].metadata["run"]
    assert all(np.array_equal(value, written[1].tensors[name]) for name, value in written[0].tensors.items())
