"""Clips of least squared error against trying all of them on the values themselves."""

import numpy as np
import pytest

from common.quant.calibration import best_clip
from common.quant.pact import pact


def error(values, bits, clip, signed):
    return float(((values - pact(values, bits, clip, signed).astype(np.float64)) ** 2).sum())


def samples(signed):
    rng = np.random.default_rng(0)
    found = {"normal": rng.normal(0, 1, 4000), "outlier": np.append(rng.normal(0, 1, 3000), 40.0)}
    found |= {"uniform": rng.uniform(-3, 3, 4000), "laplace": rng.laplace(0, 2, 4000)}
    return {name: (x if signed else np.maximum(x, 0)).astype(np.float32) for name, x in found.items()}


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_clip_has_a_smaller_error(bits, signed):
    for name, values in samples(signed).items():
        found, most = best_clip(values, bits, signed), float(np.abs(values).max())
        assert 0 < found <= most * (1 + 1e-6)
        shares = np.linspace(0.05, 1.0, 96)
        errors = [error(values, bits, share * most, signed) for share in shares]
        assert error(values, bits, found, signed) <= 1.02 * min(errors), name  # by the bins' width


@pytest.mark.parametrize("bits", [2, 4])
def test_values_on_the_levels_of_a_clip_give_that_clip(bits):
    levels = np.linspace(0, 1.75, 2**bits, dtype=np.float32)
    assert best_clip(np.repeat(levels, 20), bits) == pytest.approx(1.75, rel=1e-3)
    assert best_clip(np.repeat(2 * levels - 1.75, 20), bits, signed=True) == pytest.approx(1.75, rel=1e-3)


def test_an_outlier_is_cut_off_at_few_bits_and_kept_at_many():
    values = np.append(np.random.default_rng(1).uniform(0, 1, 10_000), 4.0).astype(np.float32)
    assert best_clip(values, 2) < 1.5 and best_clip(values, 8) == pytest.approx(4, rel=0.1)


def test_values_below_zero_are_left_out_unless_signed():
    positive = np.random.default_rng(2).gamma(2, 1, (50, 40)).astype(np.float32)
    both = np.concatenate((positive, -9 * positive))
    assert best_clip(both, 4) == best_clip(positive, 4)
    assert best_clip(both, 4, signed=True) > 2 * best_clip(positive, 4, signed=True)
    assert best_clip(-positive, 4, signed=True) == best_clip(positive, 4, signed=True)


@pytest.mark.parametrize("values", [np.zeros((3, 4)), -np.ones(5), np.zeros(0), np.full(2, -0.0)], ids=str)
def test_nothing_above_zero_gives_one(values):
    assert best_clip(values.astype(np.float32), 4) == 1.0


def test_a_single_value_becomes_a_level():
    for bits in (2, 8):
        clip = best_clip(np.full(7, 0.3, np.float32), bits)
        assert pact(np.full(1, 0.3, np.float32), bits, clip)[0] == pytest.approx(0.3, rel=1e-3)


def test_a_larger_scale_gives_a_larger_clip_in_proportion():
    values = samples(False)["laplace"]
    assert best_clip(1000 * values, 3) == pytest.approx(1000 * best_clip(values, 3), rel=1e-3)
