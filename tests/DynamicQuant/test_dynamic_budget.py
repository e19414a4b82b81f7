"""The budget: costs, penalty, and noise-free choices that meet it."""

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, dynamic_network, images, random_input, spread_choices, static_network
from mindspore import Tensor, nn, ops

from common.errors import DataError
from common.training import CrossEntropy
from DynamicQuant.budget import BudgetLoss, candidate_costs, fit_budget, image_costs, least_shift, shifted
from DynamicQuant.network import Decisions
from DynamicQuant.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("pynative")


def test_costs_are_those_of_the_equations():
    config, macs = QuantConfig(3), [10, 30]
    costs, limit = candidate_costs(macs, config, "bitflops")
    assert limit == 1 and costs.shape == (2, 3) and costs[:, 1].sum() == pytest.approx(1)
    np.testing.assert_allclose(costs, np.outer([10, 30], [4, 9, 16]) / (40 * 9))
    costs, limit = candidate_costs(macs, config, "mean-bits")
    assert limit == 3
    np.testing.assert_allclose(costs, np.tile([2, 3, 4], (2, 1)) / 2)


@pytest.mark.parametrize("budget", ["bitflops", "mean-bits"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_adds_what_is_above_the_budget(budget, smoothing):
    network, x = dynamic_network(spread=0.5), Tensor(random_input(12))
    labels = Tensor((np.arange(12) % 4).astype(np.int32))
    costs, _ = candidate_costs([network.macs[name] for name in DYNAMIC], QuantConfig(3), budget)
    network.set_train(False)
    logits, mask = Decisions(network)(x)
    plain = nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels).asnumpy()
    mean = (mask.asnumpy() * costs).sum((1, 2)).mean()
    for bound in (mean - 0.2, mean + 0.2):
        loss, returned_logits = BudgetLoss(network, costs, bound, 3.0, CrossEntropy(smoothing))(x, labels)
        assert loss.asnumpy() == pytest.approx(plain + 3 * max(0, mean - bound), rel=1e-5)
        np.testing.assert_array_equal(returned_logits.asnumpy(), logits.asnumpy())


def test_the_penalty_pushes_towards_fewer_bits():
    network, x = dynamic_network(), Tensor(random_input(24))
    labels = Tensor(np.zeros(24, np.int32))
    costs, _ = candidate_costs([network.macs[name] for name in DYNAMIC], QuantConfig(3), "bitflops")
    network.set_train(True)
    bias, gradients = network.controller.last.bias, []
    for penalty in (0.0, 1000.0):
        network.choose.noise.state.set_data(Tensor(np.array([5, 0], np.int64)))
        network.controller.dropout.noise.state.set_data(Tensor(np.array([6, 0], np.int64)))
        loss = BudgetLoss(network, costs, 0.5, penalty, CrossEntropy())
        gradient = ops.grad(lambda x, loss=loss: loss(x, labels)[0], None, [bias])(x)[0]
        gradients.append(gradient.asnumpy().reshape(4, 3))
    push = gradients[1] - gradients[0]
    assert np.all(push[:, 0] < 0) and np.all(push[:, 2] > 0)  # a descent raises the cheap and lowers the dear


@pytest.mark.parametrize("budget", ["bitflops", "mean-bits"])
@pytest.mark.parametrize("preference", [-2.0, 0.0, 2.0])
def test_the_shift_is_the_least_that_meets_the_limit(budget, preference):
    rng, bits = np.random.default_rng(0), np.array([2.0, 3.0, 4.0])
    scores = rng.normal(0, 1, (500, 6, 3)) + preference * bits
    costs, limit = candidate_costs(rng.integers(1, 9, 6), QuantConfig(3), budget)
    shift = least_shift(scores, costs, bits, limit)
    means = [image_costs(shifted(scores, bits, d), costs).mean() for d in (shift, shift - 0.02)]
    assert means[0] <= limit < means[1]
    assert shift == pytest.approx(preference, abs=0.3)


def test_noise_free_choices_meet_the_budget_from_above_and_below():
    for tilt in (-3.0, 3.0):
        network = dynamic_network(frozen=True)
        spread_choices(network, 1.0)
        bias = np.tile([-tilt, 0, tilt], (len(DYNAMIC), 1)).astype(np.float32)
        network.controller.last.bias.set_data(Tensor(bias.ravel()))
        costs, limit = candidate_costs([network.macs[name] for name in DYNAMIC], QuantConfig(3), "bitflops")
        x = random_input(400)
        fit_budget(network, [x], costs, limit, QuantConfig(3))
        network.set_train(False)
        mask = Decisions(network)(Tensor(x))[1].asnumpy()
        image_costs = (mask * costs).sum((1, 2))
        spare = 2 * image_costs.std() / 400**0.5
        assert image_costs.std() > 0.01 and image_costs.mean() == pytest.approx(1 - spare, abs=0.3 * spare)


def test_a_budget_without_images_is_refused():
    network = dynamic_network(frozen=True)
    costs, limit = candidate_costs([network.macs[name] for name in DYNAMIC], QuantConfig(3), "bitflops")
    with pytest.raises(DataError, match="at least one"):
        fit_budget(network, [], costs, limit, QuantConfig(3))


def test_the_tester_measures_the_frozen_network_at_its_budget():
    from dynamic_tiny import stored, tester

    network = dynamic_network(spread=1.0)
    state = {name: value.asnumpy().copy() for name, value in network.parameters_and_names()}
    measure = tester(stored(network), images(48))(images(20, seed=1), label="test")
    first, second = measure(network).result(), measure(network).result()
    assert first == second and first["samples"] == 20 and abs(first["of_static"] - 1) < 0.1
    choices = measure.tester.choices
    assert choices.index.shape == (20, 4) and first["bits"] == pytest.approx(choices.bits.mean())
    for name, value in network.parameters_and_names():
        np.testing.assert_array_equal(value.asnumpy(), state[name])  # training goes on untouched
    assert not hasattr(static_network(), "controller")
