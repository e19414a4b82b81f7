"""Cost of bits: against counts from shapes and by hand."""

import numpy as np
import pytest
from proqha_table import read_table
from proqha_tiny import ACTIVATIONS, LAYERS, MACS, WEIGHTS, quantized, tiny

from ProQHA.cost_model import CostModel, MixedBits, cost_model, table

BITS = np.array([[3, 8], [2, 5], [7, 4], [6, 2]])
SIZES = CostModel(tuple(LAYERS), *(np.array(sizes, float) for sizes in (WEIGHTS, ACTIVATIONS, MACS)))


@pytest.mark.parametrize("make", [tiny, quantized], ids=["float", "quantized"])
def test_sizes_of_a_small_network(make, mode):
    sizes = cost_model(make(), 8)
    assert sizes.names == tuple(LAYERS)
    assert (sizes.weights.tolist(), sizes.activations.tolist(), sizes.macs.tolist()) == (WEIGHTS, ACTIVATIONS, MACS)


def test_costs_by_hand():
    bits, weights, macs = BITS.tolist(), sum(WEIGHTS), sum(MACS)
    costs = SIZES.summary(BITS)
    assert costs["cost"] == pytest.approx(sum(b[0] * w for b, w in zip(bits, WEIGHTS)) / (32 * weights))
    assert costs["average_weight_bits"] == pytest.approx(32 * costs["cost"])
    mean = sum(b[1] * a for b, a in zip(bits, ACTIVATIONS)) / sum(ACTIVATIONS)
    assert costs["average_activation_bits"] == pytest.approx(mean)
    operations = [b[0] * b[1] * t for b, t in zip(bits, MACS)]
    assert SIZES.bit_operations(BITS).tolist() == operations and costs["bit_operations"] == sum(operations)
    assert costs["compute_cost"] == pytest.approx(sum(operations) / (1024 * macs))


def test_costs_of_many_candidates_at_once():
    many = np.random.default_rng(0).integers(2, 9, (7, 4, 2))
    assert SIZES.storage(many) == pytest.approx([SIZES.storage(one) for one in many])
    assert SIZES.compute(many) == pytest.approx([SIZES.compute(one) for one in many])
    assert SIZES.bit_operations(many).shape == (7, 4)


@pytest.mark.parametrize("bits", range(2, 9))
def test_uniform_bits_cost_their_share_of_32(bits):
    uniform = np.full((4, 2), bits)
    costs = SIZES.summary(uniform)
    assert costs["cost"] == bits / 32 and costs["compute_cost"] == pytest.approx((bits / 32) ** 2)
    assert SIZES.averages(uniform) == (bits, bits)


def test_the_first_share_of_the_quantizers_has_the_first_bits():
    assert MixedBits(2, 8).of_layers(3).tolist() == [[2, 2]] * 3
    assert MixedBits(2, 8, 0.5).of_layers(3).tolist() == [[2, 2], [2, 8], [8, 8]]
    assert MixedBits(4, 6, 0.01).of_layers(2).tolist() == [[6, 6]] * 2


def test_totals_of_the_table_are_the_sums_of_its_lines():
    layers, totals = read_table(table(SIZES, BITS).splitlines())
    assert [line[0] for line in layers] == LAYERS and totals[0] == "all"
    assert [line[1:3] for line in layers] == BITS.tolist()
    assert [line[3:6] for line in layers] == [list(sizes) for sizes in zip(WEIGHTS, ACTIVATIONS, MACS)]
    assert [line[7] for line in layers] == SIZES.bit_operations(BITS).tolist()
    assert totals[1:3] == pytest.approx(SIZES.averages(BITS), abs=5e-4)
    for column in (3, 4, 5, 7):
        assert totals[column] == sum(line[column] for line in layers)
    assert totals[6] == pytest.approx(sum(line[6] for line in layers), abs=2)  # of rounded bytes
    assert totals[6] == pytest.approx((BITS[:, 0] * WEIGHTS).sum() / 8, abs=0.5)
