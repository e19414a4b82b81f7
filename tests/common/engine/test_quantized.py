"""Packed layers as integers times floats: levels of every table, grids of every width."""

import itertools

import numpy as np
import pytest

from common.engine.quantized import input_of, integer_levels, integers_of
from common.errors import QuantizationError
from common.quant.integer_weight import ActivationGrid, IntegerWeight, one
from common.quant.level_table import DOREFA, SIGNED, UNSIGNED, LevelTable
from common.quant.pact import pact
from DAMBQ.tables import LEVELS, LEVELS_ZERO
from LDNQ.levels import TABLES

EVERY = [DOREFA, SIGNED, UNSIGNED, *LEVELS.values(), *LEVELS_ZERO.values(), *TABLES.values()]
PARTS = {"dorefa": lambda bits: 2**bits - 1, "v1-cifar": {1: 1, 2: 10, 3: 15, 4: 25}.get}
PARTS |= {"int8": {1: 1, 2: 49, 3: 112, 4: 98}.get, "signed": lambda _: 1, "3-levels": lambda _: 1}


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_levels_are_integers_of_the_smallest_part(table):
    for bits in table.widths:
        integers, parts = integer_levels(table, bits)
        levels = table.levels(bits)
        assert np.abs(integers / parts - levels).max() <= 2.0**-23 * np.abs(levels).max()
        assert np.abs(integers).max() == np.abs(levels).max() * parts
        assert parts == PARTS.get(table.name, lambda _, parts=parts: parts)(bits)


def test_levels_that_are_no_multiples_are_refused():
    table = LevelTable("odd", lambda _: np.array([0, 0.13579, 0.80817, 1], np.float32), (2,))
    with pytest.raises(QuantizationError, match=r"multiples of 1 / D.*found odd of 2 bits"):
        integer_levels(table, 2)


def test_weights_are_scale_times_integers_of_each_channel():
    rng = np.random.default_rng(0)
    bits = np.array([0, 1, 2, 3, 4, 2], np.uint8)
    codes = np.stack([rng.integers(0, max(1, 2 ** int(k) if k else 1), (3, 3, 3)) for k in bits]).astype(np.uint8)
    weight = IntegerWeight(codes, bits, rng.uniform(0.1, 2, 6).astype(np.float32), LEVELS["v2"])
    made, values = integers_of(weight), weight.dequantize().astype(np.float64)
    np.testing.assert_allclose(made.scale[:, None, None, None] * made.values, values, rtol=2.0**-23, atol=0)


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_are_those_of_the_quantizer(bits):
    clip = np.float32(2.7182818)
    source = input_of(ActivationGrid(one(bits, np.uint8), one(clip, np.float32)))
    x = np.random.default_rng(bits).uniform(-1, 4, 10000).astype(np.float32)
    codes = np.rint(np.clip(x * source.grid.steps, 0, source.grid.top))
    np.testing.assert_allclose(codes * source.unit, pact(x, bits, clip), rtol=2.0**-22)


@pytest.mark.parametrize(
    "widths", [w for n in (1, 2, 3) for w in itertools.combinations((0, 1, 2, 3, 4, 8), n)], ids=str
)
def test_channels_of_several_widths_share_a_grid(widths):
    bits, clip = np.array(widths, np.uint8), np.float32(3)
    if 8 in widths and 3 in widths:
        with pytest.raises(QuantizationError, match="common grid of at most 255 steps, found"):
            input_of(ActivationGrid(bits, one(clip, np.float32)))
        return
    source = input_of(ActivationGrid(bits, one(clip, np.float32)))
    for channel, width in enumerate(widths):
        top, multiplier = (
            np.broadcast_to(part, len(bits))[channel] for part in (source.grid.top, source.grid.multiplier)
        )
        if width == 0:
            assert top == 0
            continue
        levels = np.arange(2**width) * multiplier * source.unit
        np.testing.assert_allclose(levels, np.arange(2**width) * float(clip) / (2**width - 1), rtol=2.0**-23)
        assert top * multiplier <= 255


def test_signed_inputs_are_refused():
    with pytest.raises(QuantizationError, match="signed inputs"):
        input_of(ActivationGrid(one(4, np.uint8), one(1, np.float32), signed=True))
