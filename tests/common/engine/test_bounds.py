"""Bounds: blocks are cut where a lane could overflow, no later and no earlier; what cannot fit is refused."""

import numpy as np
import pytest
from random_networks import random_network

from common.engine.bounds import LANE, Limits, check_sums, cut, lane_limits
from common.engine.compiler import compile_network
from common.engine.interpreter import decode_blocks
from common.engine.layout import GROUP, INTEGER_CONV, STEP_TAPS, padded
from common.engine.limbs import limbs_of
from common.errors import QuantizationError


def lanes_of(weight, codes):
    """Sums of each lane at each step, (S, 2, F), tap by tap."""
    steps, filters = len(weight) // 4, weight.shape[1]
    sums = np.zeros((steps, 2, filters), np.int64)
    for k in range(len(weight)):
        sums[k // 4, k % 4 // 2] += codes[k, None] * weight[k]
    return sums


@pytest.mark.parametrize("seed", range(10))
def test_limits_are_reached_and_never_passed(seed):
    rng = np.random.default_rng(seed)
    weight, largest = rng.integers(-127, 128, (24, 3)), rng.integers(0, 256, 24)
    limits = lane_limits(weight, largest)
    for f in range(3):
        assert np.array_equal(lanes_of(weight, largest * (weight[:, f] > 0))[..., f], limits.high[..., f])
        assert np.array_equal(lanes_of(weight, largest * (weight[:, f] < 0))[..., f], limits.low[..., f])
    for _ in range(50):
        sums = lanes_of(weight, rng.integers(0, largest + 1))
        assert (limits.low <= sums).all() and (sums <= limits.high).all()


@pytest.mark.parametrize("seed", range(10))
def test_blocks_are_the_longest_that_fit(seed):
    rng = np.random.default_rng(seed)
    weight, largest = rng.integers(-60, 61, (400, 5)), np.full(400, 255)
    limits = lane_limits(weight, largest)
    lengths, first = cut(limits), 0
    assert sum(lengths) == 100
    for length in lengths:
        low, high = (part[first : first + length].sum(0) for part in (limits.low, limits.high))
        assert high.max() <= LANE and low.min() >= -LANE - 1
        longer_low, longer_high = (part[first : first + length + 1].sum(0) for part in (limits.low, limits.high))
        assert first + length == 100 or longer_high.max() > LANE or longer_low.min() < -LANE - 1
        first += length


def test_a_step_that_saturates_has_no_blocks():
    assert cut(lane_limits(np.full((4, 1), 127), np.full(4, 255))) is None
    assert cut(lane_limits(np.full((4, 1), 64), np.full(4, 255))) == [1]


@pytest.mark.parametrize("size", [127, 128, 255, 1000, 32000])
def test_limbs_add_up_to_the_weights(size):
    rng = np.random.default_rng(size)
    weight = rng.integers(-size, size + 1, (36, 4))
    limbs = limbs_of(weight, np.full(36, 15))
    assert np.array_equal(sum(limb.multiplier * limb.weight for limb in limbs), weight)
    assert all(np.abs(limb.weight + 0.5).max() < 128 and sum(limb.lengths) == 9 for limb in limbs)


def test_small_weights_need_one_limb_and_one_block():
    (limb,) = limbs_of(np.random.default_rng(0).integers(-7, 8, (576, 16)), np.full(576, 15))
    assert limb.lengths == [144] and limb.multiplier == 1


def test_weights_beyond_two_limbs_are_refused():
    with pytest.raises(QuantizationError, match="two limbs of 8 bits hold, found one of size 100000"):
        limbs_of(np.full((4, 1), 100000), np.ones(4, int))


def test_sums_beyond_32_bits_are_refused():
    limits = Limits(np.full((1, 2, 1), -(2**15)), np.full((1, 2, 1), 2**15 - 1))
    assert check_sums([(2**14, limits)]) == 2**30
    with pytest.raises(QuantizationError, match=r"below 2\^31"):
        check_sums([(2**14, limits), (2**14, limits)])


def test_lanes_of_compiled_programs_fit_whatever_the_codes():
    """The bounds again, from the bytes of the program alone."""
    for seed in range(40):
        program = compile_network(random_network(seed))
        for instruction in program.instructions:
            if instruction["operation"] == INTEGER_CONV:
                check_lanes(program, instruction)


def check_lanes(program, instruction):
    blocks, filters = decode_blocks(program, instruction), padded(instruction["filters"])
    steps = sum(count for _, runs in blocks for _, count in runs)
    first = instruction["weights"]
    weights = program.weights[first : first + steps * STEP_TAPS * filters].astype(np.int64)
    weights = weights.reshape(filters // GROUP, steps, GROUP, STEP_TAPS // 2, 2)
    codes, total, first = largest_codes(program, instruction), 0, 0
    for multiplier, runs in blocks:
        taps = np.concatenate([np.arange(offset, offset + STEP_TAPS * count) for offset, count in runs])
        top = codes[taps % len(codes)].reshape(-1, 1, STEP_TAPS // 2, 2)
        part = top * weights[:, first : (first := first + len(top))]
        low, high = (bound(part, 0).sum((1, 4)) for bound in (np.minimum, np.maximum))
        assert high.max() <= LANE and low.min() >= -LANE - 1
        total = total + abs(multiplier) * np.maximum(high, -low).sum(2)
    assert np.max(total) < 2**31


def largest_codes(program, instruction):
    """Of each channel of the tensor that a convolution reads, by the tail that writes it."""
    stride = program.buffers[instruction["source"]]["stride"]
    writer = next(other for other in program.instructions if other["codes"] == instruction["source"])
    if writer["planes"]:
        return np.full(stride, 255)
    row = instruction["candidate"] * stride if writer["grid_decision"] >= 0 else 0
    top, multiplier = (program.constants[writer[field] + row :][:stride] for field in ("top", "multiplier"))
    return (top * (multiplier if writer["multiplier"] >= 0 else 1)).astype(np.int64)
