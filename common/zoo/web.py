"""Answers of web servers, by requests: retried, never less encrypted, and over at a deadline whatever a server does."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError, ReadTimeoutError

from common.errors import CheckpointError

STALL_SECONDS = 30.0  # without a byte
_CHUNK = 1 << 16
_HEADERS = {"User-Agent": "lowbitzoo", "Accept-Encoding": "identity"}
# Of connections alone: no answer is read in order to ask again, and no server says how long to wait.
_RETRY = Retry(total=2, read=False, backoff_factor=0.2, respect_retry_after_header=False)


class BrokenTransferError(CheckpointError):
    """The connection broke or stalled; what arrived is kept."""


@contextlib.contextmanager
def opened(url: str, start: int, deadline: float) -> Iterator[requests.Response]:
    """The answer from byte ``start`` on, with status 200, 206, or 416 if the server has nothing from there.

    Args:
        url: ``http`` or ``https``.
        start: First byte.
        deadline: On the clock of ``time.monotonic``; nothing arrives after it.

    Raises:
        BrokenTransferError: no answer came in time.
        CheckpointError: no connection, another status, or a redirection that gives up encryption.
    """
    headers = _HEADERS | ({"Range": f"bytes={start}-"} if start else {})
    try:
        pending = _asked(url, headers)
        response = pending.result(max(0.0, deadline - time.monotonic()))
    except (requests.Timeout, WaitTimeout):
        raise BrokenTransferError(f"no answer within {STALL_SECONDS:g} s") from None
    except (OSError, ValueError, HTTPError) as error:
        cause = error.args[0] if error.args else type(error).__name__
        raise CheckpointError(f"no connection ({getattr(cause, 'reason', cause)})") from None
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _end, [response])
    timer.daemon = True
    timer.start()
    try:
        with response:
            if response.status_code not in {200, 206} | ({416} if start else set()):
                raise CheckpointError(f"the server answers {response.status_code} {response.reason}")
            yield response
    finally:
        timer.cancel()


def chunks(response: requests.Response) -> Iterator[bytes]:
    """What arrives, as it arrives, not decoded.

    Raises:
        BrokenTransferError: the connection broke or stalled.
    """
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
    except ReadTimeoutError:
        raise BrokenTransferError(f"nothing received for {STALL_SECONDS:g} s") from None
    except (OSError, HTTPError):
        raise BrokenTransferError(f"the connection broke after {response.raw.tell():,} bytes") from None


def _asked(url: str, headers: dict[str, str]) -> Future[requests.Response]:
    """The answer to come, in a thread that may be left behind: a server can take forever to end its headers."""
    future: Future[requests.Response] = Future()

    def ask() -> None:
        try:
            future.set_result(_get(url, headers))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return future


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
        hooks = {"response": _keep_encryption}
        return session.get(url, headers=headers, stream=True, timeout=STALL_SECONDS, hooks=hooks)


def _keep_encryption(response: requests.Response, **_) -> None:
    """Refuse a redirection that gives up encryption or leaves the web; of any, read nothing but its target."""
    if response.is_redirect:
        response.close()
        scheme, target = urlsplit(response.url).scheme, urljoin(response.url, response.headers["Location"])
        if urlsplit(target).scheme not in (("https",) if scheme == "https" else ("http", "https")):
            raise CheckpointError(f"redirected from {scheme} to {target}")


def _end(response: requests.Response) -> None:
    """Let the read that waits for more, and all later ones, end."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has just ended by itself
        response.raw.shutdown()
