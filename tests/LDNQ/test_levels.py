import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from LDNQ.levels import LEVEL_COUNTS, code_bits, nearest_levels, project, searched_scale, signed_levels, to_codes

SETS = {3: [1], 5: [1, 2], 7: [1, 2, 4], 9: [1, 2, 4, 8], 11: [1, 2, 4, 8, 16]}


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_the_levels_are_those_of_the_paper(count):
    expected = sorted({0, *SETS[count], *(-value for value in SETS[count])})
    assert signed_levels(count).tolist() == expected and len(expected) == count
    assert 2 ** (code_bits(count) - 1) < count <= 2 ** code_bits(count)


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_levels_agree_with_the_reference(golden, count):
    assert np.array_equal(nearest_levels(golden["V"] / golden[f"alpha{count}"], count), golden[f"quantize{count}"])


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_projection_agrees_with_the_reference(golden, count):
    np.testing.assert_allclose(project(golden["V"], count).values, golden[f"proj{count}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_every_level_is_a_fixed_point_and_codes_invert(count):
    levels = signed_levels(count)
    assert np.array_equal(nearest_levels(levels, count), levels)
    codes = to_codes(levels, count)
    assert codes.dtype == np.uint8 and codes.tolist() == list(range(count))


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_ties_go_away_from_zero(count):
    positive = [0, *SETS[count]]
    for low, high in itertools.pairwise(positive):
        middle = (low + high) / 2
        assert nearest_levels(np.array([middle, -middle]), count).tolist() == [high, -high]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(LEVEL_COUNTS), st.lists(st.floats(-40, 40), min_size=1, max_size=20))
def test_no_level_is_nearer(count, values):
    values = np.array(values)
    nearest = np.abs(values[:, None] - signed_levels(count)).min(1)
    np.testing.assert_array_equal(np.abs(values - nearest_levels(values, count)), nearest)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_projection_never_worsens_and_finds_what_is_on_the_levels(count, per_channel):
    generator = np.random.default_rng(count)
    weight = generator.normal(size=(6, 40))
    errors = [project(weight, count, per_channel, iterations=n).error for n in (1, 2, 5, 50)]
    assert errors == sorted(errors, reverse=True)
    scale = generator.uniform(0.5, 2, (6, 1)) if per_channel else np.array([[0.7]])
    on_levels = scale * generator.choice(signed_levels(count), (6, 40))
    projected = project(on_levels, count, per_channel, scale=1.05 * scale)
    np.testing.assert_allclose(projected.values, on_levels, atol=1e-12)


def test_rows_of_zeros_stay_zero():
    weight = np.vstack([np.zeros(9), np.ones(9)])
    projected = project(weight, 3, per_channel=True)
    assert projected.values.tolist() == weight.tolist() and projected.scale[0, 0] == 0
    assert project(np.zeros((2, 3)), 5).values.tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("count", [0, 2, 4, 13, -3])
def test_other_numbers_of_levels_are_refused(count):
    with pytest.raises(ConfigError, match=f"3, 5, 7, 9, 11, found {count}"):
        signed_levels(count)


@pytest.mark.parametrize("count", LEVEL_COUNTS)
def test_the_searched_scale_is_the_best_of_many(count):
    """Brute force over the scale, levels nearest; one start alone ends far from it in some rows."""
    generator = np.random.default_rng(count)
    weight, importance = generator.laplace(size=(20, 9)), generator.uniform(0.1, 2, 9)
    scale = searched_scale(weight, importance, count, per_channel=True)

    def errors(scales):
        return np.square(scales * nearest_levels(weight / scales, count) - weight) @ importance

    every = np.abs(weight).max(1, keepdims=True) * np.geomspace(0.02, 2, 2000)[:, None, None]
    best = np.min([errors(scales) for scales in every], 0)
    found, single = errors(scale), errors(project(weight, count, per_channel=True).scale)
    assert scale.shape == (20, 1) and found.sum() <= 1.001 * best.sum() and found.sum() < single.sum()
    assert searched_scale(weight, importance, count, per_channel=False).shape == (1, 1)
    assert not searched_scale(0 * weight, importance, count, per_channel=True).any()
