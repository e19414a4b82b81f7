"""Sums that BatchNorm's mean takes away: the offset is exact, and float32 rounds numbers of the result's size alone."""

import numpy as np
import pytest

from common.engine.builder import Builder
from common.engine.centring import centred
from common.engine.description import Grid, IntegerConv

TAPS = 2000


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def maps(rng):
    """Scales and offsets of 500 filters whose sums have means far above their spread, and a few of each."""
    scale = -rng.uniform(1e-3, 1e-2, 500)
    means = rng.integers(20_000, 400_000, 500)
    return scale, -scale * means + rng.normal(0, 1, 500), (means + rng.normal(0, 300, (40, 500))).astype(np.int64)


def in_float32(scale, offset, sums):
    a, b, s = (np.asarray(values, np.float64).astype(np.float32) for values in (scale, offset, sums))
    return a * s + b


def test_float32_is_as_exact_as_the_result_is_large(rng):
    scale, offset, sums = maps(rng)
    integers, rest = centred(scale, offset, TAPS)
    exact = scale * sums + offset
    errors = np.abs(in_float32(scale, rest, sums - integers) - exact)
    assert (errors < 2.0**-23 * (np.abs(exact) + np.abs(exact - rest) + np.abs(rest))).all()
    as_they_are = np.abs(in_float32(scale, offset, sums) - exact)
    assert as_they_are.mean() > 50 * errors.mean()


def test_offsets_are_sums_that_can_occur():
    scale, offset = np.array([-1.0, -1, -1, 0, 0.5]), np.array([7.4, -3, 1e9, 5, -1])
    integers, rest = centred(scale, offset, TAPS)
    assert integers.tolist() == [7, 0, 255 * TAPS, 0, 2]
    np.testing.assert_allclose(rest, offset + scale * integers)
    assert centred(scale, offset, 2**40)[0][2] == 2**24  # that float32 still has


def test_differences_are_centred_and_products_are_not(rng):
    builder = Builder((16, 6, 6))
    eye = np.eye(16, dtype=np.float32).reshape(16, 16, 1, 1)
    codes = builder.codes(builder.float_conv(builder.image, eye), Grid(np.ones(1, np.float32), np.full(1, 15)))
    for differences in (True, False):
        weight = [rng.integers(0, 16, (16, 16, 3, 3))]
        sums = builder.integer_conv(codes, weight, [np.full(16, -0.1)], differences=differences)
        x = builder.affine(sums, np.ones(16), np.full(16, 40.0))
    products, differences = (
        step for step in reversed(builder.finish(builder.pool(x, (4, 4))).steps) if isinstance(step, IntegerConv)
    )
    assert products.offset is None and np.all(products.tail.scale[1] == 40)
    assert np.all(differences.offset == 400) and np.abs(differences.tail.scale[1]).max() < 1e-12
