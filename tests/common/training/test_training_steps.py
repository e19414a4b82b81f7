"""Steps and a whole run of the training engine against PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training_run as run
from mindspore import Tensor

from common.runtime.context import execution_mode
from common.training import Schedule, TrainConfig
from common.training.step import TrainStep, make_optimizer

ROOT = Path(__file__).resolve().parents[3]
CONSTANT = Schedule("constant", 0.05)


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """PyNative mode has nothing to compile for a network of this size; what matters is repeated in graph mode."""
    with execution_mode("pynative"):
        yield


def torch_copy(torch, network):
    """The same network in PyTorch, with the names of ours."""
    conv, fc = torch.nn.Conv2d(3, 6, 3, 2, 1, bias=False), torch.nn.Linear(6, 4)
    norm = torch.nn.BatchNorm2d(6)
    ours = {name: torch.tensor(value) for name, value in run.trained(network).items()}
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


def torch_optimizer(torch, parameters, config):
    if config.optimizer == "adam":
        return PaperAdam(parameters, config.schedule.base, config.weight_decay)
    return torch.optim.SGD(parameters, config.schedule.base, config.momentum, weight_decay=config.weight_decay)


def torch_step(torch, forward, parameters, optimizer, config, x, labels):
    loss = torch.nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)(forward(x), labels)
    optimizer.zero_grad()
    loss.backward()
    if config.grad_clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, config.grad_clip_norm)
    optimizer.step()
    return loss.item()


SETTINGS = {
    "sgd": {},
    "sgd without momentum": {"momentum": 0.0},
    "weight decay": {"weight_decay": 0.1},
    "clipped": {"grad_clip_norm": 0.05},
    "clip norm above the gradient": {"grad_clip_norm": 1e4},
    "label smoothing": {"label_smoothing": 0.3},
    "all at once": {"weight_decay": 0.1, "grad_clip_norm": 0.05, "label_smoothing": 0.3},
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
    config = TrainConfig(1, 8, CONSTANT, **SETTINGS[setting])
    network = run.Small()
    forward, theirs = torch_copy(torch, network)
    optimizer = torch_optimizer(torch, theirs.values(), config)
    ours = make_optimizer(network.trainable_params(), config, 3)
    step = TrainStep(network, ours, config)
    step.set_train(True)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, labels = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 8)
        loss, _ = step(Tensor(x), Tensor(labels.astype(np.int32)))
        batch = torch.tensor(x), torch.tensor(labels)
        expected = torch_step(torch, forward, list(theirs.values()), optimizer, config, *batch)
        assert float(loss.asnumpy()) == pytest.approx(expected, rel=1e-5)
    # Adam divides by the gradient's own size: the rounding of the smallest gradients is amplified.
    tolerance = 1e-4 if config.optimizer == "adam" else 2e-6
    for name, value in run.trained(network).items():
        assert np.abs(value - theirs[name].detach().numpy()).max() < tolerance, name


def test_a_whole_run_is_that_of_pytorch(tmp_path):
    """Order of the images, learning rate of each step, and the means that are reported."""
    torch = pytest.importorskip("torch")
    config = replace(run.CONFIG, augment=False, schedule=Schedule("multistep", 0.1, (1, 2), 0.5), grad_clip_norm=None)
    network, source = run.Small(), run.images()
    forward, theirs = torch_copy(torch, network)
    history = run.trainer(tmp_path, config, source, network, test=None, validate=None).run()
    optimizer = torch_optimizer(torch, theirs.values(), config)
    for epoch, rate in enumerate((0.1, 0.05, 0.025)):
        order, losses, correct = np.random.default_rng((config.seed, epoch)).permutation(20), [], 0
        optimizer.param_groups[0]["lr"] = rate
        for step in range(run.STEPS):
            chosen = order[step * run.BATCH : (step + 1) * run.BATCH]
            pixels = source.images[chosen].transpose(0, 3, 1, 2) / 255
            mean, std = (np.array(v)[:, None, None] for v in (run.PREPROCESSING.mean, run.PREPROCESSING.std))
            x, labels = torch.tensor((pixels - mean) / std).float(), torch.tensor(source.labels[chosen]).long()
            with torch.no_grad():
                correct += (forward(x).argmax(1) == labels).sum().item()
            losses.append(torch_step(torch, forward, list(theirs.values()), optimizer, config, x, labels))
        assert history[epoch]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert history[epoch]["acc"] == correct / 18
    for name, value in run.trained(network).items():
        assert np.abs(value - theirs[name].detach().numpy()).max() < 1e-5, name
