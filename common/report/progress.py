"""Progress of anything slow, shown by tqdm: how much is done, how fast, how long it will take, running values."""

import sys
from typing import Any, TextIO

from tqdm import tqdm

_REDRAW_SECONDS = 0.2  # on a terminal
_LOG_SECONDS = 30.0  # elsewhere
_LOG_LINE = "{desc}{n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"


class _Bar(tqdm):
    """A line that is redrawn; without tqdm's thread, which would not survive a fork."""

    monitor_interval = 0


class _Log(_Bar):
    """A new line in the place of each redrawing."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the line."""
        self.fp.write(f"{self}\n")
        self.fp.flush()


class Progress:
    """Counts up to ``total``: one line redrawn on a terminal, a line every 30 s and one at the end elsewhere.

    Use it as a context manager, so that the line ends also where an error does::

        with Progress(len(images), "images", label="eval") as progress:
            for batch in batches:
                progress.update(len(batch), acc=correct / seen)

    Args:
        total: number of things to count; None if unknown.
        unit: name of the things that are counted.
        stream: stream to write to; stderr for None.
        label: first word of the line.
    """

    def __init__(self, total: int | None, unit: str = "images", stream: TextIO | None = None, label: str = ""):
        stream = sys.stderr if stream is None else stream
        self._terminal = stream.isatty()
        options: dict[str, Any] = {"mininterval": _REDRAW_SECONDS, "dynamic_ncols": True}
        if not self._terminal:  # gui: tqdm itself writes nothing
            options = {"mininterval": _LOG_SECONDS, "bar_format": _LOG_LINE, "gui": True}
        self._bar = (_Bar if self._terminal else _Log)(
            total=total,
            desc=f"{label}: " if label else "",
            unit=f" {unit}",
            unit_scale=unit == "bytes",
            file=stream,
            miniters=1,
            smoothing=0,  # the rate is that of the whole time
            **options,
        )

    def update(self, n: int, **values: Any) -> None:
        """Count ``n`` more; ``values`` are shown after the counts until the next update."""
        self._bar.set_postfix(values, refresh=False)
        self._bar.update(n)

    def close(self) -> None:
        """Write the last line; further calls do nothing."""
        if not self._terminal:
            self._bar.refresh()
        self._bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        self.close()
