"""Integers times scales: what codes stand for, and what is no integer weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import QuantizationError
from common.quant.integer_weight import IntegerWeight, one
from common.quant.level_table import DOREFA, SIGNED, UNSIGNED, LevelTable, level_table, register


def codes(*values, shape=None) -> np.ndarray:
    return np.array(values, np.uint8).reshape(shape or (len(values), 1))


def u8(*values) -> np.ndarray:
    return np.array(values, np.uint8)


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("table", "bits", "levels"),
    [
        (UNSIGNED, 1, [0, 1]),
        (UNSIGNED, 2, [0, 1, 2, 3]),
        (SIGNED, 2, [-1, 0, 1]),
        (SIGNED, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (DOREFA, 2, [-1, -1 / 3, 1 / 3, 1]),
    ],
)
def test_levels_rise_and_are_those_of_the_table(table, bits, levels):
    np.testing.assert_allclose(table.levels(bits), np.array(levels, np.float32), rtol=0, atol=1e-7)
    assert table.levels(bits).dtype == np.float32 and level_table(table.name) is table


@pytest.mark.parametrize("bits", range(2, 9))
def test_dorefas_levels_are_symmetric_and_end_at_one(bits):
    levels = DOREFA.levels(bits)
    assert len(levels) == 2**bits and (np.diff(levels) > 0).all() and levels[0] == -1 and levels[-1] == 1
    np.testing.assert_allclose(levels, -levels[::-1], rtol=0, atol=1e-6)


def test_a_width_or_name_that_no_table_has_is_refused():
    with pytest.raises(QuantizationError, match=r"dorefa: expected a width of 2, .* found 9"):
        DOREFA.levels(9)
    with pytest.raises(QuantizationError, match=r"expected a table of .*unsigned.*, found 'none'"):
        level_table("none")
    with pytest.raises(ValueError, match="registered already"):
        register(LevelTable("dorefa", UNSIGNED.of_bits, (1,)))


def test_weights_are_levels_times_the_scale_of_their_channel():
    weight = IntegerWeight(codes(3, 0, 1, 3, shape=(2, 2)), one(2, np.uint8), f32(0.5, 2), UNSIGNED)
    np.testing.assert_array_equal(weight.dequantize(), [[1.5, 0], [2, 6]])
    shared = IntegerWeight(codes(0, 1, 2), one(2, np.uint8), f32(0.25), SIGNED)
    np.testing.assert_array_equal(shared.dequantize(), [[-0.25], [0], [0.25]])


def test_channels_have_bits_of_their_own_and_none_are_zero():
    weight = IntegerWeight(codes(1, 3, 0), u8(1, 2, 0), f32(2, 2, 7), UNSIGNED)
    np.testing.assert_array_equal(weight.dequantize(), [[2], [6], [0]])


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_dequantized_weights_are_the_products_of_numpy(bits, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 2**bits, (3, 2, 2)).astype(np.uint8)
    scale = rng.normal(0, 1, 3).astype(np.float32)
    weight = IntegerWeight(numbers, one(bits, np.uint8), scale, UNSIGNED)
    np.testing.assert_array_equal(weight.dequantize(), scale[:, None, None] * numbers.astype(np.float32))


@pytest.mark.parametrize(
    ("numbers", "bits", "scale", "reason"),
    [
        (codes(4), one(2, np.uint8), f32(1), "codes below 4 for 2 bits, found 4"),
        (codes(1), one(0, np.uint8), f32(1), "codes below 1 for 0 bits, found 1"),
        (codes(1, 1), u8(1, 1, 1), f32(1), "expected uint8 codes"),
        (codes(1, 1), one(1, np.uint8), f32(1, 1, 1), "expected uint8 codes"),
        (codes(1).astype(np.int16), one(1, np.uint8), f32(1), "expected uint8 codes"),
        (codes(1), one(1, np.int32), f32(1), "expected uint8 codes"),
        (codes(1), one(1, np.uint8), np.ones(1), "expected uint8 codes"),
        (codes(1), one(9, np.uint8), f32(1), "a width of"),
    ],
)
def test_what_does_not_fit_is_refused(numbers, bits, scale, reason):
    with pytest.raises(QuantizationError, match=reason):
        IntegerWeight(numbers, bits, scale, UNSIGNED)
