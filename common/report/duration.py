"""How long a job will take, said once, soon after its start."""

import time
from collections.abc import Callable

_FIRST, _SECONDS = 2, 5.0  # the first steps compile; then so much is measured
_WORTH = 60.0  # seconds: shorter jobs say nothing


class Duration:
    """Counts the steps of a job and says how long all of them take.

    Args:
        steps: number of steps that the job has left.
        what: the job, such as ``30 epochs``.
        say: takes the line.
        clock: seconds.
    """

    def __init__(
        self,
        steps: int,
        what: str,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.steps, self.what, self.say, self.clock = steps, what, say, clock
        self.done, self.start, self.said = 0, 0.0, False

    def step(self) -> None:
        """Count one."""
        self.done += 1
        if self.done == _FIRST:
            self.start = self.clock()
        if self.said or self.done <= _FIRST:
            return
        elapsed = self.clock() - self.start
        if elapsed >= _SECONDS:
            self.said = True
            each = elapsed / (self.done - _FIRST)
            left = each * (self.steps - self.done)
            if left >= _WORTH:
                self.say(f"{self.what}: about {spoken(left)} ({1e3 * each:.0f} ms a step, tests not counted)")


def spoken(seconds: float) -> str:
    """A time in the unit that people say.

    >>> [spoken(seconds) for seconds in (42, 600, 9000, 400000)]
    ['42 s', '10 min', '2.5 h', '4.6 days']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
