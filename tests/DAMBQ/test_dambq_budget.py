"""Budgets and the epochs of a run: reached at its end, with any number of epochs, or refused before the first."""

import itertools

import numpy as np
import pytest
from dambq_tiny import COSTS, KINDS, Plain, gathered, seeded, set_bits, trainer, watched
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from common.checkpoint import network_state
from common.errors import ConfigError
from DAMBQ.allocation import Allocator
from DAMBQ.budget import Budget, above, average, lower, lower_to
from DAMBQ.convert import quantize_network

SIZES = {"weights": 13, "activations": 14}  # groups of Plain((6, 8, 5))


def pace_by_hand(budget, epochs, groups):
    """Groups that lose a bit in each epoch, counted as the options say it."""
    counts = []
    for epoch in range(epochs):
        first, last = budget.duration
        part = min(1, (epoch - first) / max(1, last - first))
        share = 0 if epoch < first else budget.shares[0] + part * (budget.shares[1] - budget.shares[0])
        counts.append(int(np.ceil(round(share * groups, 9))))
    return counts


@pytest.mark.parametrize("shares", [(1, 1), (0.01, 0.3), (0.3, 0.7)])
@pytest.mark.parametrize("duration", [(0, 0), (0, 3), (1, 4), (2, 2)])
def test_the_pace_is_that_of_the_shares(shares, duration):
    budget = Budget(2, 2, shares=shares, duration=duration)
    for first, last, groups in itertools.product(range(4), range(7), (1, 13, 100)):
        expected = sum(pace_by_hand(budget, last, groups)[first:]) / groups
        assert budget.pace(first, last, groups) == pytest.approx(expected), (first, last, groups)


def simulated(network, budget, epochs, seed):
    """The bits of each kind after every epoch, with random sensitivities; a run without its training."""
    allocator, rng, history = Allocator(network, budget, 8, epochs), np.random.default_rng(seed), []
    for epoch in range(epochs):
        for sums in allocator.add.sums:
            sums.set_data(Tensor(rng.exponential(1, sums.shape).astype(np.float32)))
        allocator.after_epoch(epoch)
        history.append({kind: gathered(network, kind, "bits") for kind in KINDS})
    return allocator, history


@pytest.fixture(scope="module")
def network():
    """A quantized network, and a function that gives it 4 bits everywhere again."""
    cell = quantize_network(seeded(Plain((6, 8, 5))))
    start = network_state.state(cell)
    return cell, lambda: network_state.restore(cell, start)


@pytest.mark.parametrize("granularity", ["channel", "layer", "network"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 7, 11])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.34, 0.5, 1])
@pytest.mark.parametrize("duration", [(0, 0), (1, 2), (0, 9)])
def test_every_schedule_that_is_not_refused_ends_at_its_budget(quickly, network, granularity, epochs, share, duration):
    cell, reset = network
    for target in (3.9, 3, 2.397, 2, 0.5):
        reset()
        budget = Budget(target, target, granularity, (share / 2, share), duration)
        groups = {"channel": SIZES, "layer": dict.fromkeys(KINDS, 2), "network": dict.fromkeys(KINDS, 1)}[granularity]
        reach = {kind: sum(pace_by_hand(budget, epochs, groups[kind])) / groups[kind] for kind in KINDS}
        if min(reach.values()) < 4 - target - 1e-9:
            with pytest.raises(ConfigError, match="target: expected at least"):
                Allocator(cell, budget, 8, epochs)
            continue
        allocator, history = simulated(cell, budget, epochs, seed=epochs)
        assert allocator.finished()
        for kind in KINDS:
            assert average(history[-1][kind], np.array(COSTS[kind], float)) <= target + 1e-12


def test_where_the_shares_suffice_nothing_more_is_taken(quickly, network):
    """The bits are those of the plain allocation, epoch by epoch."""
    cell, reset = network
    reset()
    budget, rng = Budget(2, 2, shares=(0.2, 0.6), duration=(0, 4)), np.random.default_rng(4)
    _, history = simulated(cell, budget, epochs=20, seed=4)
    bits, costs = {kind: np.full(SIZES[kind], 4) for kind in KINDS}, {k: np.array(COSTS[k], float) for k in KINDS}
    for epoch, record in enumerate(history):
        sums = {"weights": (8, 5), "activations": (6, 8)}
        drawn = {kind: [rng.exponential(1, n).astype(np.float32) for n in sums[kind]] for kind in KINDS}
        for kind in KINDS:
            sensitivity = np.concatenate(drawn[kind]).astype(float) / costs[kind]
            bits[kind] = lower(bits[kind], sensitivity, costs[kind], 2, budget.share(epoch))
            np.testing.assert_array_equal(record[kind], bits[kind], err_msg=f"{kind} {epoch}")


def test_a_run_behind_its_schedule_takes_more_before_its_end(quickly, network):
    """Shares that just suffice, spent on the groups that cost least: the rest of the bits goes in the epochs left."""
    cell, reset = network
    reset()
    budget = Budget(2, 4, shares=(0.5, 0.5), duration=(0, 0))
    allocator, averages = Allocator(cell, budget, 8, 4), []
    cost = np.array(COSTS["weights"], float)
    for epoch in range(4):
        for sums in allocator.add.sums:  # the layer of fewer weights is always the least sensitive
            sums.set_data(Tensor(np.full(sums.shape, 1e-3 if sums.shape[0] == 8 else 1, np.float32)))
        allocator.after_epoch(epoch)
        averages.append(average(gathered(cell, "weights", "bits"), cost))
        assert averages[-1] <= 2 + budget.pace(epoch + 1, 4, 13)
    assert averages[-1] <= 2 < averages[-2] and averages[0] > 3


def test_a_network_of_mixed_bits_goes_on_from_its_average(quickly, network):
    cell, reset = network
    reset()
    set_bits(cell, seed=3)
    cost = np.array(COSTS["weights"], float)
    now = average(gathered(cell, "weights", "bits"), cost)
    with pytest.raises(ConfigError, match=f"from {now:.3f} bits"):
        Allocator(cell, Budget(now - 1.01, 4, shares=(1, 1), duration=(0, 0)), 8, 1)
    allocator, history = simulated(cell, Budget(now - 1, 4, shares=(1, 1), duration=(0, 0)), 1, seed=0)
    assert allocator.finished() and average(history[0]["weights"], cost) <= now - 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 9), st.integers(1, 99)), min_size=1, max_size=12),
    st.integers(0, 400),
)
def test_any_bits_are_lowered_to_any_target(groups, hundredths):
    bits, sensitivity, cost = (np.array(part) for part in zip(*groups))
    target = hundredths / 100
    lowered = lower_to(bits, sensitivity, cost.astype(float), target)
    assert not above(lowered, cost.astype(float), target) and (lowered >= 0).all() and (lowered <= bits).all()
    assert above(bits, cost.astype(float), target) or lowered.tolist() == bits.tolist()


@pytest.mark.parametrize("epochs", [2, 3, 5])
def test_a_short_run_ends_at_its_budget(tmp_path, quickly, epochs):
    run = trainer(tmp_path, Budget(2, 2, shares=(1, 1) if epochs == 2 else (0.7, 0.7), duration=(0, 0)), epochs=epochs)
    records = watched(run)
    assert records[-1]["weights_bits"] <= 2 and records[-1]["activations_bits"] <= 2 and run.chosen["finished"]
