"""Both quantization schemes against the equations in NumPy float64 and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from AdderQuant.quant import QuantAdder2d, group_filters, quantize_adder
from common.errors import ConfigError, QuantizationError


def weights(filters=6, spread=3.0, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (filters, 3, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("scheme", ["two-sided", "paper"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_fit_their_bits_and_groups_share_a_step(scheme, bits):
    made, _ = quantize_adder(weights(), 2.0, bits, 3, scheme)
    assert made.bits.tolist() == [bits] and made.codes.max() <= 2**bits - 1
    assert made.scale.shape == ((6,) if scheme == "paper" else (1,)) and len(np.unique(made.scale)) <= 3
    assert (made.scale > 0).all() and (made.scale * (2**bits - 1) <= 2.0 + 1e-6).all()


def exact_distance(x, w):
    return np.abs(x[None] - w.astype(np.float64)).sum((1, 2, 3))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_two_sided_is_the_distance_to_the_nearest_grid_weight(bits):
    """Inputs on the grid, R_x beyond all weights: negative weights act as 0 with a constant, the others are rounded."""
    w, rng = weights(filters=1, spread=1.0), np.random.default_rng(1)
    made, bias = quantize_adder(w, 10.0, bits, 1, "two-sided")
    step, top = float(made.scale[0]), 10.0
    q = rng.integers(0, 2**bits, w.shape[1:])
    ours = step * np.abs(q[None] - made.codes.astype(int)).sum((1, 2, 3)) - bias
    grid = np.where(w > 0, np.rint(w.astype(np.float64) / (top / (2**bits - 1))) * step, w)
    assert ours == pytest.approx(exact_distance(q * step, grid), rel=1e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_paper_is_the_distance_to_signed_levels(bits):
    """The integer form |2 q_w - q_x| with signed q_w, computed directly."""
    w, rng = weights(filters=5), np.random.default_rng(2)
    made, bias = quantize_adder(w, 2.0, bits, 2, "paper")
    step = made.scale.astype(np.float64)
    half, reach = 2 ** (bits - 1), step * (2**bits - 1)
    clamped = np.clip(w, -reach.reshape(-1, 1, 1, 1), reach.reshape(-1, 1, 1, 1))
    signed = np.clip(np.rint(clamped / (2 * step.reshape(-1, 1, 1, 1))), -half, half - 1)
    q = rng.integers(0, 2**bits, w.shape[1:])
    direct = step * np.abs(2 * signed - q).sum((1, 2, 3)) + np.abs(w - clamped).sum((1, 2, 3))
    ours = step * np.abs(q[None] - made.codes.astype(int)).sum((1, 2, 3)) - bias
    assert ours == pytest.approx(direct, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 6.0), st.integers(1, 8))
def test_clamping_loses_nothing_on_inputs_in_range(seed, reach, groups):
    """At 8 bits the output differs from the float layer's by rounding alone: half a step per operand and weight."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 2, (4, 2, 3, 3)).astype(np.float32)
    made, bias = quantize_adder(w, reach, 8, groups, "two-sided", seed=1)
    step = float(made.scale[0])
    for f in range(4):
        q = rng.integers(0, 256, w.shape[1:])
        ours = step * np.abs(q - made.codes[f].astype(int)).sum() - bias[f]
        assert ours == pytest.approx(np.abs(q * step - w[f]).sum(), abs=0.5 * step * w[f].size + 1e-3)


def test_a_weight_on_the_grid_is_a_fixed_point():
    codes = np.random.default_rng(0).integers(0, 16, (3, 2, 3, 3))
    codes[:, 0, 0, 0] = 15
    made, bias = quantize_adder((codes * 0.125).astype(np.float32), 15 * 0.125, 4, 1)
    assert np.array_equal(made.codes, codes) and not bias.any()


def test_groups_follow_the_maxima_and_empty_ones_are_merged():
    maxima = np.array([1.0, 5.0, 1.1, 9.0, 5.2, 0.9])
    assert group_filters(maxima, 3, seed=0).tolist() == [0, 1, 0, 2, 1, 0]
    assert group_filters(np.array([2.0, 2.0, 2.0]), 4, seed=0).tolist() == [0, 0, 0]
    assert group_filters(np.array([2.0, 3.0, 2.0]), 4, seed=0).tolist() == [0, 1, 0]
    assert np.array_equal(
        group_filters(weights(40).max((1, 2, 3)), 4, 7), group_filters(weights(40).max((1, 2, 3)), 4, 7)
    )


def test_a_filter_of_zeros_has_a_step():
    made, _ = quantize_adder(np.zeros((2, 1, 1, 1), np.float32), 3.0, 4, scheme="paper")
    assert (made.scale > 0).all() and not made.codes.any()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"bits": 0}, ConfigError),
        ({"bits": 9}, ConfigError),
        ({"groups": 0}, ConfigError),
        ({"groups": 9}, ConfigError),
        ({"scheme": "one-sided"}, ConfigError),
        ({"activation_range": 0.0}, QuantizationError),
        ({"activation_range": np.nan}, QuantizationError),
        ({"weight": np.full((1, 1, 1, 1), np.inf)}, QuantizationError),
    ],
)
def test_values_out_of_range_are_refused(change, error):
    with pytest.raises(error):
        quantize_adder(**{"weight": weights(), "activation_range": 1.0, "bits": 4, **change})


@pytest.mark.parametrize("scheme", ["two-sided", "paper"])
@pytest.mark.parametrize("bits", [2, 5, 8])
def test_a_layer_gives_back_its_integers(scheme, bits):
    layer, (made, bias) = QuantAdder2d(3, 6, 3, 1, 1), quantize_adder(weights(), 9.0, bits, 4, scheme)
    layer.set_codes(made, bias)
    back = layer.to_int()
    assert layer.bits == back.bits[0] == bits
    assert np.array_equal(back.codes, made.codes) and np.array_equal(back.scale, made.scale)
    assert np.array_equal(layer.bias.asnumpy(), bias)


def test_a_layer_of_fewer_groups_refuses_more_steps():
    made, bias = quantize_adder(weights(), 9.0, 4, 4, "paper")
    with pytest.raises(QuantizationError, match="at most 2 scale groups, found 4"):
        QuantAdder2d(3, 6, 3, groups=2).set_codes(made, bias)
