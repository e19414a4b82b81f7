"""The level tables against the authors' and against what defines them."""

import numpy as np
import pytest

from DAMBQ.tables import MAX_BITS, TABLES

WIDTHS = range(MAX_BITS + 1)


@pytest.fixture(params=list(TABLES))
def table(request):
    return TABLES[request.param]


def test_v2_is_the_table_of_the_authors(golden):
    table = TABLES["v2"]
    np.testing.assert_array_equal(table.coefficients, golden["alpha_w"][:, :MAX_BITS])
    np.testing.assert_array_equal(table.clips, golden["clip_w"])
    for bits in WIDTHS[1:]:
        levels = np.sort(golden["quant_bases"][bits])[:: 2 ** (MAX_BITS - bits)]  # the file repeats those of few bits
        np.testing.assert_allclose(table.levels(bits), levels, rtol=0, atol=1e-12)


def test_v1_is_the_published_one_of_cifar():
    table = TABLES["v1-cifar"]
    assert table.clips.tolist() == [0.5, 0.98, 2.43, 4.36, 5.52]
    np.testing.assert_allclose(table.levels(2), [-1, -0.3, 0.3, 1])
    np.testing.assert_allclose(15 * table.levels(3), [-15, -9, -5, -1, 1, 5, 9, 15])
    np.testing.assert_allclose(25 * table.levels(4)[8:], [1, 3, 5, 9, 11, 13, 17, 25])
    assert not np.array_equal(table.coefficients, TABLES["v2"].coefficients)


def test_int8_is_v2_rounded_to_integers():
    for bits, parts in ((1, 1), (2, 49), (3, 112), (4, 98)):
        levels, integers = TABLES["int8"].levels(bits), parts * TABLES["int8"].levels(bits)
        np.testing.assert_allclose(integers, np.rint(integers), atol=1e-12)
        assert np.abs(integers).max() == parts < 128
        assert np.abs(levels - TABLES["v2"].levels(bits)).max() <= 0.0007
    assert np.array_equal(TABLES["int8"].clips, TABLES["v2"].clips)


def test_coefficients_are_falling_and_sum_to_one(table):
    for bits in WIDTHS:
        coefficients = table.coefficients[bits]
        assert coefficients.sum() == pytest.approx(float(bits > 0), abs=1e-12)
        assert np.all(coefficients[:bits] > 0) and np.all(np.diff(coefficients) <= 0) and not coefficients[bits:].any()
    assert np.all(np.diff(table.clips) > 0)


def test_levels_are_distinct_sorted_symmetric_and_reach_from_minus_one_to_one(table):
    for bits in WIDTHS[1:]:
        levels = table.levels(bits)
        assert levels.shape == (2**bits,) and np.all(np.diff(levels) > 1e-3)
        np.testing.assert_allclose(levels, -levels[::-1], atol=1e-15)
        assert levels[-1] == pytest.approx(1, abs=1e-12)
    assert table.levels(0).tolist() == [0]


def test_the_array_of_the_kernels_holds_each_width_in_its_row(table):
    array = table.as_array()
    assert array.dtype == np.float32 and array.shape == (5, 16)
    for bits in WIDTHS[1:]:
        np.testing.assert_array_equal(array[bits, : 2**bits], table.levels(bits).astype(np.float32))
    assert not any(array[bits, 2**bits :].any() for bits in WIDTHS[1:]) and not array[0].any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_codes_reproduce_every_level(table, dtype):
    for bits in WIDTHS[1:]:
        levels = table.levels(bits).astype(dtype)
        codes = table.codes(levels, bits)
        assert codes.dtype == np.int8 and codes.shape == (2**bits, bits) and set(codes.flat) == {-1, 1}
        assert len(np.unique(codes, axis=0)) == 2**bits
        np.testing.assert_allclose(codes @ table.coefficients[bits, :bits], levels, rtol=0, atol=1e-7)
