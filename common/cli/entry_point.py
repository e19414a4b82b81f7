"""End of a script: on an error that a user can mend, on Ctrl-C, and where nobody reads what it prints."""

import contextlib
import ctypes
import errno
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from common.errors import UserError

# A program that is ended by a signal: 128 and its number, as shells say it.
_INTERRUPTED = 128 + signal.SIGINT
_PIPE_CLOSED = 128 + signal.SIGPIPE
_SIGACTION_BYTES = 1024  # more than any system's description of a handler
_KEEP_SECONDS = 0.1


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C in a run that can go on; the message says how."""


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Let Ctrl-C in this block say that a folder keeps what is done, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"what is finished is kept in {folder}; give the same command again to go on from there"
        ) from None


def entry_point(main: Callable[..., None]) -> Callable[..., None]:
    """Decorate the ``main`` of a script.

    A :class:`UserError` becomes one line on stderr and exit status 2, Ctrl-C one line and 130. Where what is printed
    cannot be written, the end is quiet and 141 if the reader has gone, as ``head`` does, else one line and 1.
    """

    @functools.wraps(main)
    def run(*args, **kwargs) -> None:
        try:
            with _interruptible():
                main(*args, **kwargs)
            _flush()
        except UserError as error:
            _end(2, "error: " + " ".join(str(error).split()))
        except KeyboardInterrupt as error:
            _end(_INTERRUPTED, "; ".join(["interrupted", *map(str, error.args)]))
        except BrokenPipeError:
            _end(_PIPE_CLOSED)
        except OSError as error:
            if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT):
                raise  # of a file, not of what is printed
            _end(1, f"error: what is printed cannot be written ({error.strerror})")

    return run


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt, whoever else has asked for the signal; not where it is ignored (nohup)."""
    mine = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not mine or before == signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_handler, args=[ended], daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        signal.signal(signal.SIGINT, before)


def _keep_handler(ended: threading.Event) -> None:
    """Put Python's handler of SIGINT back whenever MindSpore has put its own in its place, which ends without a word.

    It does so at its first graphs and optimizers, not when it is imported or set up.
    """
    library, python_handler = ctypes.CDLL(None), ctypes.create_string_buffer(_SIGACTION_BYTES)
    if library.sigaction(signal.SIGINT, None, python_handler) != 0:
        return
    while not ended.wait(_KEEP_SECONDS):
        library.sigaction(signal.SIGINT, python_handler, None)


def _flush() -> None:
    """Write what is printed now, not after the last moment at which its failure could be told.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def _end(status: int, line: str | None = None) -> None:
    """Print a line on stderr, if anybody reads it, and leave without a word more.

    Raises:
        SystemExit: always.
    """
    broken = []
    for stream, text in ((sys.stdout, None), (sys.stderr, line)):
        try:
            if stream is not None:
                if text:
                    print(text, file=stream)
                stream.flush()
        except (OSError, ValueError):
            broken.append(stream)
    for stream in broken:  # Python writes once more when it ends
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)
