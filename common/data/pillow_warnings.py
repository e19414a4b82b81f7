"""Pillow's warnings, which name no file, as texts for whoever knows the file.

``warnings.catch_warnings`` is for programs of one thread; images are decoded in many.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_decoding = threading.local()
_count = 0
_before: Callable[..., Any] = warnings.showwarning


@contextmanager
def collected() -> Iterator[list[str]]:
    """The warnings that this thread gives inside, in place of their being printed; other threads' go their way."""
    messages: list[str] = []
    _hook()
    _decoding.messages = messages
    try:
        yield messages
    finally:
        _decoding.messages = None
        _unhook()


def _hook() -> None:
    global _count, _before
    with _lock:
        if not _count:
            _before, warnings.showwarning = warnings.showwarning, _show
        _count += 1


def _unhook() -> None:
    global _count
    with _lock:
        _count -= 1
        if not _count and warnings.showwarning is _show:
            warnings.showwarning = _before


def _show(message: Warning | str, *about: Any, **more: Any) -> None:
    messages = getattr(_decoding, "messages", None)
    if messages is None:
        _before(message, *about, **more)
    else:
        messages.append(" ".join(str(message).split()))
