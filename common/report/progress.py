"""Progress of anything slow: how much is done, how fast, how long it will take, running values."""

import numbers
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

_REDRAW_SECONDS = 0.2  # on a terminal
_LOG_SECONDS = 30.0  # elsewhere


class Progress:
    """Counts up to ``total``: one line redrawn on a terminal, a line every 30 s and one at the end elsewhere.

    Use it as a context manager, so that the line ends also where an error does::

        with Progress(len(images), "images", label="eval") as progress:
            for batch in batches:
                progress.update(len(batch), acc=correct / seen)

    Args:
        total: How many there are; ``None`` if unknown.
        unit: What is counted.
        stream: Where to write; stderr for ``None``.
        label: First word of the line.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        total: int | None,
        unit: str = "images",
        stream: TextIO | None = None,
        label: str = "",
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total, self.unit, self.label = total, unit, label
        self.done, self.values = 0, {}
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._start = self._last = clock()
        self._width = 0
        self._closed = False

    def update(self, n: int, **values: Any) -> None:
        """Count ``n`` more; ``values`` are shown behind the counts until the next update."""
        self.done += n
        self.values = values
        now = self._clock()
        if now - self._last >= (_REDRAW_SECONDS if self._terminal else _LOG_SECONDS):
            self._last = now
            self._write(self._line(now), "" if self._terminal else "\n")

    def close(self) -> None:
        """Write the last line; further calls do nothing."""
        if not self._closed:
            self._closed = True
            self._write(self._line(self._clock(), closing=True), "\n")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _line(self, now: float, closing: bool = False) -> str:
        seconds = now - self._start
        rate = self.done / seconds if seconds > 0 else 0.0
        total = "" if self.total is None else f"/{self.total}"
        parts = [f"{self.done}{total} {self.unit}", f"{_short(rate)} {self.unit}/s"]
        if closing:
            parts.append(f"{_duration(seconds)} in all")
        elif self.total is not None and rate > 0:
            parts.append(f"{_duration(max(self.total - self.done, 0) / rate)} left")
        parts += [f"{name} {_value(value)}" for name, value in self.values.items()]
        return " ".join(filter(None, [self.label, ", ".join(parts)]))

    def _write(self, line: str, end: str) -> None:
        if self._terminal:
            line = line[: shutil.get_terminal_size().columns - 1]  # a wrapped line could not be redrawn
            line, self._width = "\r" + line.ljust(self._width), len(line)
        self._stream.write(line + end)
        self._stream.flush()


def _short(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 1 else f"{rate:.3f}"


def _value(value: Any) -> str:
    whole = isinstance(value, numbers.Integral) or not isinstance(value, numbers.Real)
    return str(value) if whole else f"{value:.4f}"


def _duration(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
