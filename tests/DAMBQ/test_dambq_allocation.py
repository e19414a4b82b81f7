"""Which groups lose bits: the budget and one allocation, by hand and for any input."""

import math

import numpy as np
import pytest
from dambq_tiny import Plain, UserNet, seeded, set_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import ConfigError
from DAMBQ import plots
from DAMBQ.allocation import Allocator, average_bits, input_values
from DAMBQ.budget import Budget, average, lower
from DAMBQ.convert import multi_bit_layers, quantize_network


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"weights": 4.01}, "wgt_target"),
        ({"weights": -0.1}, "wgt_target"),
        ({"weights": math.nan}, "wgt_target"),
        ({"activations": 5}, "act_target"),
        ({"activations": -1}, "act_target"),
        ({"granularity": "filter"}, "granularity"),
        ({"shares": (0, 0.3)}, "shares"),
        ({"shares": (0.1, 1.1)}, "shares"),
        ({"shares": (0.1, math.nan)}, "shares"),
        ({"duration": (5, 2)}, "duration"),
        ({"duration": (-1, 2)}, "duration"),
    ],
)
def test_a_budget_outside_its_ranges_is_refused(values, name):
    with pytest.raises(ConfigError, match=f"{name}: expected"):
        Budget(**{"weights": 2, "activations": 2, **values})


def test_the_limits_of_a_budget_are_taken():
    Budget(0, 4, "network", (1, 1), (0, 0))
    Budget(4, 0, "layer", (1e-6, 1), (3, 3))


def test_the_share_rises_between_the_epochs_of_its_duration():
    budget = Budget(2, 2, shares=(0.1, 0.5), duration=(3, 7))
    shares = [budget.share(epoch) for epoch in range(10)]
    assert shares == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])


def test_the_share_of_a_ramp_of_one_epoch():
    budget = Budget(2, 2, shares=(0.1, 0.5), duration=(2, 2))
    assert [budget.share(epoch) for epoch in (0, 1, 2, 3, 99)] == pytest.approx([0, 0, 0.1, 0.5, 0.5])


def lowered(bits, sensitivity, cost, target, share) -> list[int]:
    before = np.array(bits)
    after = lower(before, np.array(sensitivity, float), np.array(cost, float), target, share)
    assert before.tolist() == bits  # the argument is left alone
    return after.tolist()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (([4, 4, 4, 4], [3, 1, 2, 4], [1, 1, 1, 1], 0, 0.5), [4, 3, 3, 4]),  # the lowest two
        (([4, 4, 4, 4], [3, 1, 2, 4], [1, 1, 1, 1], 0, 0.51), [3, 3, 3, 4]),  # rounded up
        (([4, 4, 4, 4], [3, 1, 2, 4], [1, 1, 1, 1], 0, 0.01), [4, 3, 4, 4]),  # one at least
        (([0, 4, 0, 1], [0, 2, 0, 1], [1, 1, 1, 1], 0, 0.25), [0, 4, 0, 0]),  # no share is spent on the empty
        (([0, 4, 0, 1], [0, 2, 0, 1], [1, 1, 1, 1], 0, 0.5), [0, 3, 0, 0]),
        (([0, 0, 0], [1, 2, 3], [1, 1, 1], 0, 1), [0, 0, 0]),  # never below 0
        (([4, 4, 4, 4], [1, 2, 3, 4], [1, 1, 1, 1], 3.5, 1), [3, 3, 4, 4]),  # down to the budget
        (([4, 4, 4, 4], [1, 2, 3, 4], [1, 1, 1, 1], 3.6, 1), [3, 3, 4, 4]),
        (([4, 4, 4, 4], [1, 2, 3, 4], [1, 1, 1, 1], 3.4, 1), [3, 3, 3, 4]),
        (([4, 4, 4, 4], [1, 2, 3, 4], [1, 1, 1, 1], 4, 1), [4, 4, 4, 4]),  # it is met already
        (([4, 4, 4], [1, 2, 3], [1, 8, 1], 3.1, 1), [3, 3, 4]),  # by cost: 40 to 31
        (([4, 4, 4], [2, 1, 3], [1, 8, 1], 3.2, 1), [4, 3, 4]),
        (([4, 4, 4, 4], [1, 1, 0, 1], [1, 1, 1, 1], 0, 0.5), [3, 4, 3, 4]),  # ties in their order
        (([3], [5], [7], 2.5, 0.01), [2]),
    ],
)
def test_one_allocation_by_hand(arguments, expected):
    assert lowered(*arguments) == expected


@pytest.mark.parametrize(("share", "count", "most"), [(0.07, 100, 7), (0.14, 50, 7), (0.3, 10, 3), (0.55, 100, 55)])
def test_a_share_that_is_a_whole_number_of_groups_is_not_rounded_up(share, count, most):
    after = lowered([4] * count, list(range(count)), [1] * count, 0, share)
    assert count * 4 - sum(after) == most


group = st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 50))


@settings(max_examples=300, deadline=None)
@given(st.lists(group, min_size=1, max_size=40), st.integers(0, 400), st.floats(1e-3, 1))
def test_an_allocation_takes_no_more_than_it_must_and_may(groups, hundredths, share):
    (bits, sensitivity, cost), target = (np.array(part) for part in zip(*groups)), hundredths / 100
    lowered_bits = lower(bits, sensitivity.astype(float), cost.astype(float), target, share)
    taken, most = bits - lowered_bits, math.ceil(share * len(bits))
    assert set(taken) <= {0, 1} and lowered_bits.min() >= 0 and taken.sum() <= most
    after = average(lowered_bits, cost)
    assert after <= average(bits, cost)
    if after > target:
        assert taken.sum() == min(most, (bits > 0).sum())
    if taken.any():
        chosen, left = np.flatnonzero(taken), np.flatnonzero((taken == 0) & (bits > 0))
        assert sensitivity[chosen].max() <= sensitivity[left].min(initial=9)
        last = chosen[np.flatnonzero(sensitivity[chosen] == sensitivity[chosen].max())[-1]]
        returned = lowered_bits.copy()
        returned[last] += 1
        assert average(returned, cost) > target


@given(st.lists(group, min_size=1, max_size=30), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_repeated_allocations_end_below_any_target(groups, hundredths):
    bits, sensitivity, cost = (np.array(part) for part in zip(*groups))
    for _ in range(4):
        bits = lower(bits, sensitivity.astype(float), cost.astype(float), hundredths / 100, 1.0)
    assert average(bits, cost) <= hundredths / 100


def test_activations_of_a_channel_are_counted_on_one_image(mode):
    network = quantize_network(seeded(UserNet())).set_train(True)
    expected = {"body.1": 64, "body.2.2": 16, "listed.0": 16, "hidden": 1}
    assert input_values(network, 8) == expected
    assert network.training and network.hidden.training
    assert input_values(quantize_network(Plain((6, 8, 5))), 12) == {"convs.0": 36, "convs.1": 36}


def test_averages_are_weighted_by_weights_and_by_activations():
    network = quantize_network(seeded(UserNet()))
    set_bits(network, seed=1)
    layers = multi_bit_layers(network)
    weights = [(layer.weight.shape, layer.quantize_weight.bits.asnumpy()) for layer in layers.values()]
    total = sum(np.prod(shape) for shape, _ in weights)
    expected = sum((np.prod(shape[1:]) * bits).sum() for shape, bits in weights) / total
    means = average_bits(network, 8)
    assert means["weights"] == pytest.approx(expected)
    sizes = {"body.1": 64, "body.2.2": 16, "listed.0": 16, "hidden": 1}
    bits = {name: layers[name].quantize_input.bits.asnumpy() for name in sizes}
    whole = sum(size * len(bits[name]) for name, size in sizes.items())
    assert means["activations"] == pytest.approx(sum(size * bits[name].sum() for name, size in sizes.items()) / whole)
    plain = np.mean(np.concatenate(list(bits.values())))
    assert abs(means["activations"] - plain) > 0.01  # the plain mean would be another
    report = Allocator(network, Budget(4, 4), 8, 1).report()
    assert (report["weights_bits"], report["activations_bits"]) == (means["weights"], means["activations"])
    assert report["activations_bits_of_layers"] == {name: round(float(each.mean()), 4) for name, each in bits.items()}


def test_a_network_of_two_layers_has_nothing_to_allocate():
    with pytest.raises(ConfigError, match="between the first and the last"):
        Allocator(quantize_network(Plain((4,))), Budget(2, 2), 8, 1)


def test_the_picture_of_the_bits_is_a_png(tmp_path):
    history = [
        {"epoch": epoch, **{f"{kind}_bits": 4.0 - epoch for kind in ("weights", "activations")}} for epoch in (1, 2)
    ]
    for record in history:
        record |= {f"{kind}_bits_of_layers": {"a": 2.5, "b": 1.0} for kind in ("weights", "activations")}
    plots.plot_bits(history, ["a", "b"], tmp_path / "bits.png")
    picture = Image.open(tmp_path / "bits.png")
    assert picture.format == "PNG" and min(picture.size) > 100
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # not a blank page
    history[-1]["weights_bits_of_layers"]["b"] = 3.0
    plots.plot_bits(history, ["a", "b"], tmp_path / "other.png")
    assert (tmp_path / "other.png").read_bytes() != (tmp_path / "bits.png").read_bytes()
