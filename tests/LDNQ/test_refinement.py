"""The refinement by Adam against its equations in float64 NumPy, in both modes; with fixed statistics too."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from common.errors import ConfigError, QuantizationError
from common.models.layers import Layers
from LDNQ.latent import LevelledParameter
from LDNQ.levels import nearest_levels, project, to_codes
from LDNQ.plan import Plan
from LDNQ.refinement import Features, RefineStep

COUNT = 11


def linear_problem():
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=shape).astype(np.float32) for shape in ((4, 6), (4,), (16, 6), (16, 4))]
    network = nn.Dense(6, 4, ms.Tensor(arrays[0]), ms.Tensor(arrays[1]))
    levelled = {"weight": LevelledParameter.of(network.weight)}
    projected = project(arrays[0].astype(np.float64), COUNT, per_channel=True)
    levelled["weight"].assign(projected.levels, projected.scale[:, 0], COUNT)
    return network, levelled, projected, arrays


def reference(latent, scale, bias, images, logits, rate: float, count: int):
    """Latent values and bias after ``count`` steps of the equations."""
    unit = 0.3 * np.sqrt(np.square(bias).mean())
    moments = [[np.zeros(p.shape), np.zeros(p.shape)] for p in (latent, bias)]
    for k in range(1, count + 1):
        value = scale * nearest_levels(latent / scale, COUNT)
        error = 2 * (images @ value.T + bias - logits) / logits.size
        directions = []
        for gradient, (speed, square) in zip((error.T @ images, error.sum(0)), moments):
            speed[:] = 0.9 * speed + 0.1 * gradient
            square[:] = 0.99 * square + 0.01 * gradient**2
            directions.append(speed / (1 - 0.9**k) / (np.sqrt(square / (1 - 0.99**k)) + 1e-12))
        risen = rate * min(1, k / 20)
        latent = latent - risen * np.maximum(scale, 0.75 * np.abs(value)) * directions[0]
        bias = bias - risen * unit * directions[1]
    return latent, bias


def test_steps_are_those_of_the_equations(mode):
    network, levelled, projected, arrays = linear_problem()
    step = RefineStep(network, levelled, COUNT)
    start = levelled["weight"].latent.asnumpy().astype(float)
    losses = [step.refine(arrays[2], arrays[3], 0.2, number) for number in range(8)]
    wanted = reference(start, projected.scale, *(array.astype(float) for array in arrays[1:]), 0.2, 8)
    np.testing.assert_allclose(levelled["weight"].latent.asnumpy(), wanted[0], atol=1e-4)
    np.testing.assert_allclose(network.bias.asnumpy(), wanted[1], atol=1e-5)
    found = levelled["weight"].to_int(COUNT)
    assert not np.array_equal(found.codes, to_codes(projected.levels, COUNT)) and losses[-1] < losses[0]
    assert np.array_equal(network.weight.asnumpy(), found.dequantize())


def test_a_restart_forgets_both_moments():
    network, levelled, _, arrays = linear_problem()
    step = RefineStep(network, levelled, COUNT)
    step.refine(arrays[2], arrays[3], 0.05, 0)
    assert all(np.abs(moment.asnumpy()).max() > 0 for moment in step.moments) and len(step.moments) == 4
    step.restart()
    assert all(not moment.asnumpy().any() for moment in step.moments)
    with pytest.raises(QuantizationError, match="diverged"):
        step.refine(arrays[2], np.full((16, 4), np.inf, np.float32), 0.05, 0)


class TwoBlocks(nn.Cell):
    """Two linear layers that are blocks: (N, 6) to (N, 5) and to logits (N, 4)."""

    def __init__(self, seed):
        super().__init__()
        generator = np.random.default_rng(seed)
        self.one = nn.Dense(6, 5, ms.Tensor(generator.normal(size=(5, 6)).astype(np.float32)), has_bias=False)
        self.two = nn.Dense(5, 4, ms.Tensor(generator.normal(size=(4, 5)).astype(np.float32)), has_bias=False)

    def blocks_and_logits(self, x):
        first = self.one(x)
        second = self.two(first)
        return (first, second), second

    def construct(self, x):
        return self.blocks_and_logits(x)[1]


def test_features_are_in_the_loss_and_its_gradient(mode):
    network, teacher, weight = TwoBlocks(0), TwoBlocks(1), 3.0
    before = [parameter.asnumpy() for parameter in teacher.get_parameters()]
    levelled = {p.name: LevelledParameter.of(p) for p in network.trainable_params()}
    step = RefineStep(network, levelled, COUNT, Features(teacher, weight)).set_train(True)
    images, logits = (np.random.default_rng(2).normal(size=(16, size)).astype(np.float32) for size in (6, 4))
    loss, gradients = step.value_and_grad(ms.Tensor(images), ms.Tensor(logits))
    parameters = [network.one.weight, network.two.weight]
    one, two, *hints = (values.astype(np.float64) for values in (*(p.asnumpy() for p in parameters), *before))
    first, wanted = images @ one.T, [images @ hints[0].T, images @ hints[0].T @ hints[1].T]
    second, sizes = first @ two.T, [np.square(values).mean() for values in wanted]
    parts = [np.square(values - hint).mean() / size for values, hint, size in zip((first, second), wanted, sizes)]
    assert float(loss.asnumpy()) == pytest.approx(np.square(second - logits).mean() + weight * np.mean(parts), rel=1e-5)
    of_blocks = [
        weight * (values - hint) / hint.size / size for values, hint, size in zip((first, second), wanted, sizes)
    ]
    of_second = 2 * (second - logits) / logits.size + of_blocks[1]
    np.testing.assert_allclose(gradients[1].asnumpy(), of_second.T @ first, atol=1e-4)
    np.testing.assert_allclose(gradients[0].asnumpy(), (of_second @ two + of_blocks[0]).T @ images, atol=1e-4)
    losses = [step.refine(images, logits, 0.05, number) for number in range(30)]
    assert losses[-1] < losses[0] and not teacher.training and not teacher.one.training
    assert all(np.array_equal(old, new.asnumpy()) for old, new in zip(before, teacher.get_parameters()))


def test_a_network_that_tells_no_blocks_is_refused():
    with pytest.raises(ConfigError, match=r"feature_weight: expected a network that tells its blocks, .* found Dense"):
        Features(nn.Dense(2, 2), 1.0)
    with pytest.raises(ConfigError, match="feature_weight: expected refine_by adam"):
        Plan(feature_weight=1.0)


class Normed(nn.Cell):
    """A convolution, BatchNorm and ReLU6, a mean: (N, 3, S, S) to (N, 5)."""

    def __init__(self):
        super().__init__()
        layers = Layers()
        self.conv, self.norm, self.act = layers.conv(3, 5, 3, 1, 1), layers.norm(5), layers.act6()

    def construct(self, x):
        return self.act(self.norm(self.conv(x))).mean((2, 3))


def test_fixed_statistics_stay_and_give_the_loss_of_evaluation(mode):
    """Training with the norms in evaluation: the loss before a step is that of the evaluated network."""
    network, generator = Normed(), np.random.default_rng(1)
    network.norm.moving_mean.set_data(ms.Tensor(generator.normal(0, 0.3, 5).astype(np.float32)))
    network.norm.moving_variance.set_data(ms.Tensor(generator.uniform(0.5, 2, 5).astype(np.float32)))
    levelled = {"conv.weight": LevelledParameter.of(network.conv.weight)}
    rows = network.conv.weight.asnumpy().reshape(5, -1).astype(float)
    solved = project(rows, COUNT, per_channel=True)
    levelled["conv.weight"].assign(solved.levels.reshape(network.conv.weight.shape), solved.scale[:, 0], COUNT)
    images, logits = (generator.normal(size=s).astype(np.float32) for s in ((4, 3, 8, 8), (4, 5)))
    step = RefineStep(network, levelled, COUNT)
    step.fixed_statistics = True
    kept = network.norm.moving_mean.asnumpy().copy()
    for number in range(2):
        step.set_train(False)
        wanted = np.square(network(ms.Tensor(images)).asnumpy() - logits).mean()
        step.set_train(True)
        assert step.refine(images, logits, 0.01, number) == pytest.approx(wanted, rel=1e-5)
    step.set_train(False)
    assert np.array_equal(network.norm.moving_mean.asnumpy(), kept)
    assert np.square(network(ms.Tensor(images)).asnumpy() - logits).mean() < wanted
