"""Bits that go back at the end of a search: against all choices, and in a network."""

import itertools

import numpy as np
import pytest
from proqha_scoring import BITS, fisher
from proqha_tiny import quantized

from ProQHA.candidates import Targets
from ProQHA.cost_model import CostModel
from ProQHA.quant import ACTIVATIONS, get_bits, quantizers
from ProQHA.returning import chosen, return_bits

SIZES = CostModel(("a", "b", "c"), np.array([90.0, 30, 300]), np.array([64.0, 16, 32]), np.array([900.0, 2000, 300]))
THREE = np.full((3, 2), 3)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_more_fits_and_the_targets_stay_met(seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(2, 5, (3, 2))
    room = Targets(SIZES.storage(bits) * rng.uniform(1, 1.3), SIZES.compute(bits) * rng.uniform(1, 1.5))
    after = chosen(rng.random((3, 2)), SIZES, bits, room)
    assert room.met(SIZES, after) and ((after == bits) | (after == bits + 1)).all()
    for place in zip(*np.nonzero(after == bits)):
        more = after.copy()
        more[place] += 1
        assert not room.met(SIZES, more)


def test_what_is_worth_most_for_its_cost_goes_first():
    """Inputs alone, equal costs: the two of highest scores, as of all pairs."""
    sizes = CostModel(("a", "b", "c", "d"), np.ones(4), np.ones(4), np.ones(4))
    scores = np.array([[0, 1.0], [0, 4], [0, 3], [0, 2]])
    bits = np.full((4, 2), 3)
    after = chosen(scores, sizes, bits, Targets(3 / 32, (12 + 2 * 1) * 3 / (4 * 1024)))
    pairs = {pair: scores[list(pair), 1].sum() for pair in itertools.combinations(range(4), 2)}
    assert np.nonzero(after[:, 1] == 4)[0].tolist() == list(max(pairs, key=pairs.get))
    assert (after[:, 0] == 3).all()


def test_no_score_no_bit():
    assert np.array_equal(chosen(np.zeros((3, 2)), SIZES, THREE, Targets(8 / 33)), THREE)
    eight = np.full((3, 2), 8)
    assert np.array_equal(chosen(np.ones((3, 2)), SIZES, eight, Targets(0.2499)), eight)


def test_a_network_gets_bits_and_clips_where_there_is_room_and_keeps_the_rest():
    network, sizes = quantized(BITS), CostModel(tuple("abcd"), np.full(4, 10.0), np.full(4, 5.0), np.full(4, 100.0))
    before = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
    targets = Targets(sizes.storage(BITS), 1.2 * sizes.compute(BITS))  # no room for weights
    return_bits(network, fisher(), sizes, targets)
    bits = get_bits(network)
    assert targets.met(sizes, bits) and (bits[:, 0] == BITS[:, 0]).all() and (bits[:, 1] > BITS[:, 1]).any()
    clips = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
    assert [new == old for new, old in zip(clips, before)] == (bits == BITS)[:, 1].tolist()
