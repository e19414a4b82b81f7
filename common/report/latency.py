"""The time that one call takes: the median of some of them."""

import statistics
import time
from collections.abc import Callable


def median_seconds(
    compute: Callable[[], object],
    seconds: float,
    warmup: int = 1,
    least: int = 5,
    most: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Median seconds of a call, of as many as fit a time.

    Args:
        compute: the call.
        seconds: time that is measured in, warm-up not counted.
        warmup: number of calls before that, which compile and fill caches.
        least: least number of measured calls, at least 1, however long they take.
        most: greatest number of measured calls; None: as many as fit.
        clock: seconds.
    """
    for _ in range(warmup):
        compute()
    times: list[float] = []
    while len(times) < least or (sum(times) < seconds and (most is None or len(times) < most)):
        start = clock()
        compute()
        times.append(clock() - start)
    return statistics.median(times)
