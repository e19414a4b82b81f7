"""Hard choices: noise, ties, and a gradient that is the softmax's."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.runtime.context import execution_mode
from DynamicQuant.gumbel_softmax import Choice, GumbelSoftmax
from DynamicQuant.noise import CounterNoise


def scores(count=5, layers=4, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, layers, 3)).astype(np.float32)


def gumbel_of(seed: int, shape) -> np.ndarray:
    """The noise that the first call draws, in float64."""
    u = CounterNoise(seed)(int(np.prod(shape))).asnumpy().astype(np.float64)
    return -np.log(-np.log(u)).reshape(shape)


def soft_of(z, g, temperature) -> np.ndarray:
    """softmax((z + g) / tau) in float64."""
    e = np.exp((z + g) / temperature - ((z + g) / temperature).max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_forward_is_hard_and_backward_is_the_gradient_of_the_softmax(mode, temperature):
    z, weights = scores(), np.random.default_rng(1).normal(0, 1, (5, 4, 3)).astype(np.float32)
    cell = GumbelSoftmax(temperature, seed=11)
    cell.set_train(True)
    mask, gradient = [], None

    def loss(z):
        chosen = cell(z)
        return (chosen * Tensor(weights)).sum(), chosen

    (_, chosen), gradient = ops.value_and_grad(loss, 0, has_aux=True)(Tensor(z))
    mask, gradient = chosen.asnumpy(), gradient.asnumpy()
    soft = soft_of(z.astype(np.float64), gumbel_of(11, z.shape), temperature)
    np.testing.assert_array_equal(mask, np.eye(3)[soft.argmax(-1)])  # exactly 0 and 1
    wanted = soft * (weights - (weights * soft).sum(-1, keepdims=True)) / temperature
    np.testing.assert_allclose(gradient, wanted, atol=2e-6 / temperature)  # float32 exp and log


def test_the_gradient_is_that_of_pytorch(pynative):
    torch = pytest.importorskip("torch")
    z, weights = scores(), scores(seed=2)
    cell = GumbelSoftmax(0.7, seed=4)
    cell.set_train(True)
    gradient = ops.grad(lambda z: (cell(z) * Tensor(weights)).sum())(Tensor(z)).asnumpy()
    theirs = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    soft = torch.softmax((theirs + torch.tensor(gumbel_of(4, z.shape))) / 0.7, -1)
    hard = torch.nn.functional.one_hot(soft.argmax(-1), 3)
    (((hard - soft).detach() + soft) * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), atol=3e-6)


def test_choices_in_training_follow_the_softmax(pynative):
    z = np.array([0.0, 1.0, -0.5], np.float32)
    cell = GumbelSoftmax(seed=2)
    cell.set_train(True)
    shares = cell(Tensor(np.tile(z, (20000, 1, 1)))).asnumpy().mean((0, 1))
    np.testing.assert_allclose(shares, np.exp(z) / np.exp(z).sum(), atol=0.012)  # 3 deviations


@pytest.mark.parametrize("cell", [Choice(), GumbelSoftmax(seed=1)], ids=["choice", "gumbel"])
def test_evaluation_takes_the_largest_score_and_of_ties_the_fewest_bits(mode, cell):
    cell.set_train(False)
    z = np.array([[[1, 1, 0], [0, 2, 2], [1, 0, 1], [3, 3, 3], [0, 1, 2]]], np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(cell(Tensor(z)).asnumpy().argmax(2), [[0, 1, 0, 0, 2]])
        assert cell(Tensor(z)).asnumpy().sum() == 5


def test_draws_differ_and_a_saved_counter_repeats_them(pynative):
    z, cell = Tensor(np.zeros((50, 3, 3), np.float32)), GumbelSoftmax(seed=6)
    cell.set_train(True)
    first, second = cell(z).asnumpy(), cell(z).asnumpy()
    assert not np.array_equal(first, second)
    state = cell.noise.state.asnumpy().copy()
    state[1] = 0
    cell.noise.state.set_data(Tensor(state))
    np.testing.assert_array_equal(cell(z).asnumpy(), first)


def test_modes_choose_alike():
    masks = []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            cell = GumbelSoftmax(seed=8)
            cell.set_train(True)
            masks.append(cell(Tensor(scores(40))).asnumpy())
    np.testing.assert_array_equal(*masks)


def test_without_noise_training_chooses_as_evaluation_and_keeps_its_gradient(pynative):
    z, weights, cell = scores(40), scores(40, seed=2), GumbelSoftmax(seed=8)
    cell.level.set_data(Tensor(np.zeros(1, np.float32)))
    cell.set_train(True)
    np.testing.assert_array_equal(cell(Tensor(z)).asnumpy(), np.eye(3)[z.argmax(2)])
    gradient = ops.grad(lambda z: (cell(z) * Tensor(weights)).sum())(Tensor(z)).asnumpy()
    soft = soft_of(z.astype(np.float64), 0, 1)
    wanted = soft * (weights - (weights * soft).sum(-1, keepdims=True))
    np.testing.assert_allclose(gradient, wanted, atol=2e-6)


class Largest(nn.Cell):
    """In the place of the noise: the largest and the smallest number that it draws, in turn."""

    def __init__(self):
        super().__init__()
        self.both = Tensor(np.array([1 - 2.0**-24, 2.0**-24], np.float32))

    def construct(self, count):
        return ops.tile(self.both, (count // 2,))


@pytest.mark.parametrize("level", [1.0, 0.0])
def test_the_ends_of_the_noise_are_numbers(mode, level):
    """In vectors of eight and more MindSpore's logarithm of the largest float below 1 is 0."""
    cell, z = GumbelSoftmax(seed=0), np.zeros((4, 4, 3), np.float32)
    cell.noise, weights = Largest(), Tensor(np.arange(48, dtype=np.float32).reshape(z.shape))
    cell.level.set_data(Tensor(np.float32([level])))
    cell.set_train(True)

    def loss(z):
        one_hot = cell(z)
        return (one_hot * weights).sum(), one_hot

    (_, mask), gradient = ops.value_and_grad(loss, 0, has_aux=True)(Tensor(z))
    assert np.isfinite(gradient.asnumpy()).all()
    chosen = mask.asnumpy().argmax(2)
    assert np.array_equal(chosen, np.tile([[0], [1]], (8, 1)).reshape(4, 4) if level else np.zeros((4, 4)))
