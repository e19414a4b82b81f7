"""Remarks on the data: one line each on stderr, and each kind once in a run."""

import sys
import threading

_said: set[str] = set()
_lock = threading.Lock()


def say_once(kind: str, text: str) -> None:
    """Print a warning, unless one of its kind was printed before."""
    with _lock:
        if kind in _said:
            return
        _said.add(kind)
    if sys.stderr.isatty():  # where a line of progress may stand
        from tqdm import tqdm

        tqdm.write(f"warning: {text}", file=sys.stderr)
    else:
        print(f"warning: {text}", file=sys.stderr, flush=True)


def forget() -> None:
    """Start a run: each kind is printed again."""
    with _lock:
        _said.clear()
