"""Candidates of a step: who may lose bits, targets, draws, and the best of all."""

import itertools

import numpy as np
import pytest

from common.errors import ConfigError
from ProQHA.candidates import Moves, Targets, apply, draw, exact, least, saving
from ProQHA.cost_model import CostModel

SIZES = CostModel(("a", "b", "c"), np.array([90.0, 30, 300]), np.array([64.0, 16, 32]), np.array([900.0, 2000, 300]))
EIGHT = np.full((3, 2), 8)


def drawn(bits, targets, moves, seed=0, count=200):
    return draw(np.random.default_rng(seed), count, SIZES, bits, targets, moves)


def random_bits(seed, low=2):
    return np.random.default_rng(seed).integers(low, 9, (3, 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ratio", "interval", "floor"), [(0.5, 1, 2), (1.0, 3, 4), (0.1, 6, 2)])
def test_draws_lower_a_share_of_what_can_be_lowered_and_nothing_at_the_floor(seed, ratio, interval, floor):
    bits, moves = random_bits(seed), Moves(ratio, interval)
    able = bits > floor
    for after in drawn(bits, Targets(floor=floor), moves, count=50):
        changed = after != bits
        assert not changed[~able].any() and changed.sum() == np.ceil(ratio * able.sum())
        assert np.array_equal(after[changed], np.maximum(bits - interval, floor)[changed])


def test_every_quantizer_is_drawn_and_draws_are_those_of_their_seed():
    many = np.array(drawn(EIGHT, Targets(), Moves()))
    shares = (many < 8).mean(0)
    assert shares.min() > 0.4 and shares.max() < 0.6 and len(np.unique(many, axis=0)) == 20  # 6 over 3
    assert np.array_equal(many, drawn(EIGHT, Targets(), Moves()))
    assert not np.array_equal(many, drawn(EIGHT, Targets(), Moves(), seed=1))


def test_bits_below_the_floor_stay():
    bits = np.array([[2, 8], [3, 3], [8, 2]])
    for after in drawn(bits, Targets(floor=4), Moves(1.0)):
        assert np.array_equal(after, [[2, 7], [3, 3], [7, 2]])


def reached(bits, targets):
    """Whether weights, activations must stay as they are.

    Weights while the storage is met, activations while the bit operations are, or will be once the weights have lost
    what they still must; both when every target is met.
    """
    storage, compute = SIZES.storage(bits) / (targets.storage or 9e9), SIZES.compute(bits) / (targets.compute or 9e9)
    if targets.storage is None and targets.compute is None:
        return False, False
    if targets.compute is None:
        return storage <= 1, storage <= 1
    if targets.storage is None:
        return compute <= 1, compute <= 1
    return storage <= 1, compute / max(1, storage) <= 1


def by_hand(order, bits, targets, moves):
    """Lowered one by one while their kind is not done, then given back, the last first, where that does no harm."""
    after, places = bits.copy(), [divmod(index, 2) for index in order]
    for layer, column in places:
        if after[layer, column] > targets.floor and not reached(after, targets)[column]:
            after[layer, column] = max(after[layer, column] - moves.interval, targets.floor)
    for layer, column in reversed(places):
        limit = targets.storage if column == 0 and targets.storage is not None else targets.compute
        returned = after.copy()
        returned[layer, column] = bits[layer, column]
        done = list(zip(reached(after, targets), reached(returned, targets), (targets.storage, targets.compute)))
        if targets.compute is None:
            done[1] = (True, True, None)
        if limit is not None and reached(after, targets)[column] and all(b or not a for a, b, _ in done):
            after = returned
    return after


ALL_TARGETS = [
    Targets(0.2),
    Targets(0.1, floor=3),
    Targets(compute=0.04),
    Targets(0.2, 0.03),
    Targets(0.24, 0.01),
    Targets(0.07, 0.06),
    Targets(0.15, 0.045),
    Targets(),
]


@pytest.mark.parametrize("targets", ALL_TARGETS, ids=str)
@pytest.mark.parametrize("moves", [Moves(1.0, 1), Moves(1.0, 2)], ids=["1 bit", "2 bits"])
def test_lowering_stops_at_each_target(targets, moves):
    """All candidates at once, against one after the other, by hand."""
    rng = np.random.default_rng(0)
    for seed in range(40):
        bits, orders = random_bits(seed), np.array([rng.permutation(6) for _ in range(3)])
        wanted = [by_hand(order, bits, targets, moves) for order in orders]
        assert np.array_equal(apply(orders, SIZES, bits, targets, moves), wanted)
        lowerable = (bits > targets.floor) & ~np.array(reached(bits, targets))
        assert np.array_equal(targets.lowerable(SIZES, bits), lowerable)


def test_what_a_heavy_layer_took_too_much_is_given_back():
    """One bit of weights: 90, 30, 300 of 13,440 in all; 8 bits are 3,360. 100 are to go."""
    targets, order = Targets((3360 - 100) / 13440), [[0, 2, 4, 1, 3, 5]]  # weights, then inputs
    (after,) = apply(np.array(order), SIZES, EIGHT, targets, Moves())
    assert after.tolist() == [[7, 8], [7, 8], [8, 8]]  # the light ones meet it
    (after,) = apply(np.array([[0, 4, 2, 1, 3, 5]]), SIZES, EIGHT, targets, Moves())
    assert after.tolist() == [[8, 8], [8, 8], [7, 8]]  # the heavy one alone does


def test_activations_wait_for_weights_that_will_take_the_bit_operations_with_them():
    """8 x 8 bits, 0.25 and 0.0625; 5 bits of weights, 0.15625, bring the operations to 0.0391."""
    assert Targets(0.15625, 0.04).lowerable(SIZES, EIGHT).tolist() == [[True, False]] * 3
    assert Targets(0.15625, 0.03).lowerable(SIZES, EIGHT).tolist() == [[True, True]] * 3
    five = np.array([[5, 8]] * 3)
    assert not Targets(0.15625, 0.04).lowerable(SIZES, five).any()
    assert Targets(0.15625, 0.03).lowerable(SIZES, five).tolist() == [[False, True]] * 3


@pytest.mark.parametrize("targets", ALL_TARGETS[:-1], ids=str)
def test_repeated_draws_end_at_the_targets_and_do_not_overshoot(targets):
    bits, moves, rng = EIGHT, Moves(0.5, 1), np.random.default_rng(3)
    for _ in range(200):
        if not targets.lowerable(SIZES, bits).any():
            break
        before, (bits,) = bits, draw(rng, 1, SIZES, bits, targets, moves)
        assert (bits < before).any() and (bits <= before).all()
    assert not targets.lowerable(SIZES, bits).any() and bits.min() >= targets.floor
    for name, target in (("storage", targets.storage), ("compute", targets.compute)):
        cost = getattr(SIZES, name)
        at_floor = (bits[:, 1] if name == "compute" else bits[:, 0]).max() == targets.floor
        assert target is None or cost(bits) <= target or at_floor
    if targets.compute is None:  # the last weight that was lowered was needed
        raised = [bits + np.outer(np.arange(3) == i, [1, 0]) for i in range(3)]
        assert any(SIZES.storage(one) > targets.storage for one in raised)


def test_what_is_saved_are_shares_of_what_there_is():
    after = EIGHT - np.array([[1, 0], [0, 2], [0, 0]])
    storage = 90 / (8 * 420)
    compute = (8 * 900 + 16 * 2000) / (64 * 3200)
    assert saving(SIZES, Targets(), EIGHT, after) == pytest.approx(storage + compute)
    assert saving(SIZES, Targets(), EIGHT, np.array([EIGHT, after])) == pytest.approx([0, storage + compute])
    assert saving(SIZES, Targets(0.2, 0.02), EIGHT, after) == pytest.approx(storage + compute)
    near = Targets(0.25 * (1 - storage / 2), 0.0624)
    assert saving(SIZES, near, EIGHT, after) == pytest.approx(storage / 2)  # no more than what is demanded
    few = np.array([[5, 8], [5, 8], [5, 8]])
    assert saving(SIZES, Targets(0.2, 0.02), few, few - [[0, 0], [0, 2], [0, 0]]) == pytest.approx(2 / 8 * 2000 / 3200)


def test_the_least_score_for_what_is_saved_is_taken_the_first_of_equals():
    assert least(np.array([3.0, 1, 1]), np.array([1.0, 0.25, 0.5])) == 2
    assert least(np.array([2.0, 1, 4]), np.array([1.0, 0.5, 2])) == 0
    assert least(np.array([0.0, -1]), np.array([1.0, 1])) == 1


def alone(scores, bits, moves, floor):
    """Score for saving of each quantizer by itself."""
    worth = {}
    for layer, column in np.argwhere(bits > floor):
        after = bits.copy()
        after[layer, column] = max(floor, bits[layer, column] - moves.interval)
        worth[2 * layer + column] = scores[layer, column] / saving(SIZES, Targets(), bits, after)
    return worth


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("ratio", "interval"), [(0.5, 1), (0.2, 2), (1.0, 1)])
def test_the_best_of_all_has_the_least_scores_for_their_savings(seed, ratio, interval):
    """By trying all subsets of the size: none has a smaller sum of score per saving."""
    bits, moves = random_bits(seed), Moves(ratio, interval)
    scores = np.random.default_rng(seed).gamma(1, 1, (3, 2))
    worth = alone(scores, bits, moves, 2)
    chosen_bits = exact(scores, SIZES, bits, Targets(), moves)
    count = int(np.ceil(ratio * len(worth)))
    best = min(itertools.combinations(worth, count), key=lambda chosen: sum(worth[i] for i in chosen))
    assert set(np.flatnonzero(chosen_bits != bits)) == set(best)


def test_the_best_of_all_stops_at_the_targets_with_the_worst_left_out():
    scores, targets = np.array([[1.0, 9], [2, 9], [3, 9]]), Targets(0.245)
    chosen_bits = exact(scores, SIZES, EIGHT, targets, Moves(1.0))
    worth = alone(scores, EIGHT, Moves(), 2)
    (wanted,) = apply(np.array([sorted(worth, key=worth.get)]), SIZES, EIGHT, targets, Moves(1.0))
    assert np.array_equal(chosen_bits, wanted) and chosen_bits[2, 0] == 8  # the heavy one would go past the target


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"storage": 0.06}, "cost: expected 0.0625 .* floor of 2 bits.* found 0.06"),
        ({"storage": 0.25}, "cost: expected 0.0625 .* below 0.25 .* found 0.25"),
        ({"storage": 1.0}, "cost"),
        ({"storage": 0.09, "floor": 3}, "cost: expected 0.09375 .* floor of 3 bits"),
        ({"compute": 0.0039}, "compute_cost: expected 0.00390625"),
        ({"storage": 0.09, "weight_floor": 3}, "cost: expected 0.09375 .* floor of 3 and 2 bits"),
        ({"compute": 0.0058, "weight_floor": 3}, "compute_cost: expected 0.00585938 .* floor of 3 and 2 bits"),
        ({"floor": 4, "weight_floor": 3}, "weight_floor: expected at least the --floor of 4 bits, found 3"),
        ({"compute": 0.0625}, "compute_cost: .* below 0.0625"),
    ],
)
def test_targets_out_of_range_are_refused(settings, expected):
    with pytest.raises(ConfigError, match=expected):
        Targets(**settings)


def test_weights_stop_at_a_floor_of_their_own():
    targets = Targets(compute=9 / 1024, weight_floor=3)
    bits = EIGHT
    for _ in range(8):
        bits = exact(np.ones((3, 2)), SIZES, bits, targets, Moves(1.0))
    assert bits[:, 0].tolist() == [3, 3, 3] and targets.met(SIZES, bits) and not targets.lowerable(SIZES, bits).any()
    free = Targets(floor=2, weight_floor=3)
    assert exact(np.ones((3, 2)), SIZES, np.full((3, 2), 3), free, Moves(1.0)).tolist() == [[3, 2]] * 3


def test_targets_at_the_ends_are_taken():
    assert Targets(0.0625, 0.00390625).storage == 0.0625
    assert Targets(0.2499, 0.0624) and Targets(8 / 32 - 1e-9) and Targets(0.09375, floor=3)
