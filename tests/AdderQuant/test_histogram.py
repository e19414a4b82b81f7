"""Streaming statistics of magnitudes against NumPy on all values at once."""

import numpy as np
import pytest

from AdderQuant.histogram import MagnitudeHistogram


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9, 0.999, 0.9997, 1.0])
def test_quantile_of_chunks_is_that_of_all_values(ratio):
    values = np.abs(np.random.default_rng(0).standard_t(3, 100_003)).astype(np.float32)
    streaming = MagnitudeHistogram()
    for chunk in np.array_split(values, 7):
        streaming.add(chunk)
    below, above = (np.quantile(values, ratio, method=method) for method in ("lower", "higher"))
    assert below * (1 - 3e-4) <= streaming.quantile(ratio) <= above * (1 + 3e-4)
    assert streaming.minimum == values.min()


def test_quantile_counts_zeros_and_magnitudes():
    streaming = MagnitudeHistogram()
    streaming.add(np.array([[-4.0, 0.0], [0.0, 0.0]], np.float32))
    assert streaming.quantile(0.5) == 0
    assert streaming.quantile(1.0) == pytest.approx(4, rel=3e-4)
    assert streaming.minimum == -4


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_least_error_range_is_the_best_of_all_ranges_but_for_the_step_of_the_search(bits):
    values = np.abs(np.random.default_rng(0).standard_t(4, 50_000)).astype(np.float32)
    histogram = MagnitudeHistogram()
    histogram.add(values)

    def error(reach):
        step = reach / (2**bits - 1)
        return ((values - step * np.rint(np.clip(values, 0, reach) / step)) ** 2).mean()

    best = min(map(error, np.geomspace(np.quantile(values, 0.98), values.max(), 200)))
    assert error(histogram.least_error_range(bits)) <= 1.15 * best
