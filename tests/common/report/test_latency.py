"""The median time of a call, by a clock that a test sets."""

import numpy as np
import pytest

from common.report.latency import median_seconds


class Calls:
    """Calls that take these seconds in turn, the last one from then on."""

    def __init__(self, *seconds: float):
        self.seconds, self.count, self.now = seconds, 0, 0.0

    def __call__(self) -> None:
        self.now += self.seconds[min(self.count, len(self.seconds) - 1)]
        self.count += 1

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("times", [(9, 1, 2, 3), (9, 4, 1, 1, 7, 2)])
def test_warmup_is_not_counted(times):
    calls = Calls(*times)
    found = median_seconds(calls, 0, least=len(times) - 1, clock=calls.clock)
    assert found == pytest.approx(np.median(times[1:])) and calls.count == len(times)


@pytest.mark.parametrize(
    "seconds, least, most, expected",
    [(1, 5, None, 10), (1, 5, 7, 7), (0.25, 5, None, 5), (0, 1, 4, 1), (9, 5, 3, 5)],
)
def test_number_of_calls_is_what_fits(seconds, least, most, expected):
    calls = Calls(0.1)
    assert median_seconds(calls, seconds - 1e-6, 0, least, most, calls.clock) == pytest.approx(0.1)
    assert calls.count == expected
