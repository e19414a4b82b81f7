"""What choices are worth: against differences of losses, brute force, and data whose answer is known."""

import itertools
import json

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, dynamic_network, random_input
from mindspore import Tensor
from script_runs import refused, run

from DynamicQuant import potential
from DynamicQuant.convert import set_controller_bias
from DynamicQuant.gains import allocate, explained, mean_change, predicted, study
from DynamicQuant.marginals import MIDDLE, Marginals, cross_entropy, measure

COSTS = np.array([[1.0, 2, 4], [2, 5, 9], [0.5, 3, 4]])


@pytest.fixture(scope="module")
def network():
    return dynamic_network()


def test_changes_are_those_of_networks_that_choose_so(network, pynative):
    images, labels = random_input(6, seed=3), np.array([0, 1, 2, 3, 0, 1])
    marginals = measure(network, [(images[:3], labels[:3]), (images[3:], labels[3:])])
    assert marginals.change.shape == (6, len(DYNAMIC), 3) and marginals.features.shape == (6, 4 * 64)
    for layer, candidate in [(0, 0), (1, 2), (3, 0)]:
        bias = np.tile(np.float32([0, 1e4, 0]), (len(DYNAMIC), 1))
        losses = []
        for chosen in (1, candidate):
            bias[layer] = np.eye(3)[chosen] * 1e4
            set_controller_bias(network, bias)
            losses.append(cross_entropy(network(Tensor(images)).asnumpy(), labels))
        np.testing.assert_allclose(marginals.change[:, layer, candidate], losses[1] - losses[0], atol=1e-5)
        np.testing.assert_allclose(marginals.loss, losses[0], atol=1e-5)
    assert not marginals.change[:, :, MIDDLE].any() and not marginals.gradient[:, :, MIDDLE].any()


def test_cross_entropy_of_each_image():
    logits = np.array([[1000.0, 0, 0], [0, 0, 0], [-3, 1, 2]])
    wanted = [0, np.log(3), np.log(np.exp([-3, 1, 2]).sum()) - 1]
    np.testing.assert_allclose(cross_entropy(logits, np.array([0, 2, 1])), wanted, atol=1e-12)


@pytest.mark.parametrize("limit", [4.0, 7.0, 10.0, 20.0])
def test_no_allocation_of_that_cost_is_better(limit):
    """The multiplier reaches the lower hull: of all choices at no more cost than the found one none is better."""
    change = np.random.default_rng(2).normal(0, 1, (1, 3, 3)) - 0.4 * np.arange(3)
    index = allocate(change, COSTS, limit)
    cost = COSTS[np.arange(3), index[0]].sum()
    assert cost <= limit
    for other in itertools.product(range(3), repeat=3):
        if COSTS[np.arange(3), other].sum() <= cost:
            assert mean_change(np.array([other]), change) >= mean_change(index, change) - 1e-12


def example(count=400, seed=0, told=1.0):
    """Images whose change depends on their features as far as ``told`` says, 0 to 1."""
    rng = np.random.default_rng(seed)
    features, weights = rng.normal(0, 1, (count, 5)), np.random.default_rng(9).normal(0, 1, (5, 6))
    noise = rng.normal(0, 1, (count, 6)) * np.linalg.norm(weights, axis=0)
    values = (told * (features @ weights) + (1 - told) * noise).reshape(count, 3, 2)
    change = np.insert(values + 1.0, MIDDLE, 0, axis=2)
    return Marginals(change, change / 2, features, np.ones(count))


def test_what_features_tell_is_found_and_noise_is_not():
    for told, low, high in ((1.0, 0.95, 1.0), (0.0, -0.2, 0.02)):
        known, other = example(told=told), example(seed=1, told=told)
        prediction = predicted(known, other.features, 1e2 if told else 1e4)
        assert low <= explained(prediction, other.change, known.change.mean(0)) <= high
        assert not prediction[:, :, MIDDLE].any()


def test_the_study_orders_what_knows_more():
    record = study(example(), example(seed=1), COSTS, COSTS[:, 1].sum())
    gains = record["change of the loss by choices"]
    assert gains["by labels"] <= gains["by first stage"] < gains["by layer"] <= 0
    assert record["correlation with the change"] == pytest.approx(1)
    assert record["straight-through gradient"]["a bit less"] == pytest.approx(
        record["change of the loss"]["a bit less"] / 2
    )


def test_the_script_prints_and_writes_the_figures(runs, data, tmp_path):
    words = [*data, "--checkpoint_path", runs["dynamic3"][0] / "dynamic3.ckpt", "--json", tmp_path / "out.json"]
    lines = run(potential, *words, "--images", 32, "--held_out", 16, "--batch_size", 8)
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0] == "images: known 32, held out 16" and record["images"] == {"known": 32, "held out": 16}
    assert lines[-1].startswith("change of the loss by choices: by layer ")
    gains = record["change of the loss by choices"]
    assert gains["by labels"] <= min(gains.values()) and gains["by labels"] <= 0


def test_what_cannot_be_studied_is_said(runs, data, capsys):
    static = ["--checkpoint_path", runs["static3"][0] / "static3.ckpt"]
    assert "expected a dynamic network, found a static one" in refused(capsys, potential, *data, *static)
    words = ["--checkpoint_path", runs["dynamic3"][0] / "dynamic3.ckpt", "--images", 5]
    assert "expected a batch_size of at most 5" in refused(capsys, potential, *data, *words)
