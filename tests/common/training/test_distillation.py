"""Training that learns from a float network's logits: the loss, its gradients, and what stays as it is."""

import numpy as np
import pytest
import training_run as run
from mindspore import Tensor, ops

from common.errors import ConfigError
from common.runtime.context import execution_mode
from common.training import Distillation, DistillationWeights, TrainConfig
from common.training.schedules import Schedule
from common.training.step import TrainStep, make_optimizer, trained_parameters

BATCH, CLASSES, TEMPERATURE = 6, 4, 3.0


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (BATCH, 3, 8, 8)).astype(np.float32), rng.integers(0, CLASSES, BATCH).astype(np.int32)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def expected(z, aims, labels, weight):
    """Loss and its gradient in float64."""
    z, aims = z.astype(np.float64), aims.astype(np.float64)
    at, own = log_softmax(aims / TEMPERATURE), log_softmax(z / TEMPERATURE)
    divergence = TEMPERATURE**2 * (np.exp(at) * (at - own)).sum(1).mean()
    rows = np.arange(len(z))
    entropy = -log_softmax(z)[rows, labels].mean()
    hot = np.eye(z.shape[1])[labels]
    gradient = (1 - weight) * (np.exp(log_softmax(z)) - hot) + weight * TEMPERATURE * (np.exp(own) - np.exp(at))
    return (1 - weight) * entropy + weight * divergence, gradient / len(z)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_loss_and_gradient_are_those_of_float64(mode, weight):
    labels, rng = batch()[1], np.random.default_rng(1)
    z, aims = (rng.normal(0, 4, (BATCH, CLASSES)).astype(np.float32) for _ in range(2))
    with execution_mode(mode):
        task = Distillation(run.Small(), DistillationWeights(weight, TEMPERATURE))
        loss, gradient = ops.value_and_grad(task, 0)(Tensor(z), (Tensor(labels), Tensor(aims)))
    value, by_hand = expected(z, aims, labels, weight)
    assert float(loss.asnumpy()) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(gradient.asnumpy(), by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_a_step_leaves_the_float_network_in_evaluation_and_untrained(mode):
    config = TrainConfig(1, BATCH, Schedule("constant", 0.1))
    (x, labels), teacher, network = batch(), run.Small(), run.Small()
    teacher.set_train(False)
    with execution_mode(mode):
        aims = teacher(Tensor(x)).asnumpy()
        before = [p.asnumpy().copy() for p in teacher.get_parameters()]
        task = Distillation(teacher, DistillationWeights(1.0, TEMPERATURE))
        step = TrainStep(network, make_optimizer(trained_parameters(network), config, 1), config, task=task)
        step.set_train(True)
        loss, logits = step(Tensor(x), Tensor(labels))
    value, _ = expected(logits.asnumpy(), aims, labels, 1.0)
    assert float(loss.asnumpy()) == pytest.approx(value, rel=1e-3)
    for parameter, old in zip(teacher.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), old)
        assert "teacher." in parameter.name and not parameter.requires_grad
    assert not any("teacher" in name for name in run.trained(network))


def test_a_network_that_is_its_own_teacher_has_no_loss():
    z = np.random.default_rng(2).normal(0, 4, (BATCH, CLASSES)).astype(np.float32)
    task = Distillation(run.Small(), DistillationWeights(1.0, TEMPERATURE))
    loss, gradient = ops.value_and_grad(task, 0)(Tensor(z), (Tensor(batch()[1]), Tensor(z)))
    assert abs(float(loss.asnumpy())) < 1e-5 and np.abs(gradient.asnumpy()).max() < 1e-6


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 4.0), (1.5, 4.0), (0.5, 0.0)])
def test_other_settings_are_refused(weight, temperature):
    with pytest.raises(ConfigError, match="expected a weight above 0 to 1 and a temperature > 0"):
        DistillationWeights(weight, temperature)
