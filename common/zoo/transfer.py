"""Bringing the content of one address into one file: continued where it broke off, limited in size and in waiting."""

import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from common.errors import CheckpointError
from common.report.progress import Progress

TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 16
_HEADERS = {"User-Agent": "lowbitzoo", "Accept-Encoding": "identity"}


class BrokenTransferError(CheckpointError):
    """The connection broke or stalled; what arrived is kept."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections within the web, but none that gives up encryption."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.startswith("https:" if req.type == "https" else ("http:", "https:")):
            raise urllib.error.URLError(f"redirected from {req.type} to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def copy_file(source: Path, part: Path) -> None:
    """Copy a file of a local mirror into ``part``.

    Raises:
        CheckpointError: it is missing or cannot be copied.
    """
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        raise CheckpointError(f"cannot be copied ({error.strerror})") from None


def fetch(url: str, part: Path, size: int | None, label: str) -> None:
    """Bring ``part`` to the whole content of ``url``, going on from what it holds.

    Args:
        url: ``http`` or ``https``.
        part: of the same content, or absent; written anew where the server does not continue.
        size: bytes that are expected, if known.
        label: of the progress line.

    Raises:
        BrokenTransferError: the connection broke or stalled; call again to go on.
        CheckpointError: the server refuses or sends something else.
    """
    start = part.stat().st_size if part.exists() else 0
    if start and start == size:
        return
    response = _open(url, start)
    if response is None or (response.status == 206 and _first_byte(response) != start):
        start, response = 0, _open(url, 0)
    with response:
        start = start if response.status == 206 else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        if None not in (size, total) and size != total:
            raise CheckpointError(f"expected {size:,} bytes, found {total:,}")
        done = _receive(response, part, start, size or total, label)
    if done < (total or size or 0):
        raise BrokenTransferError(f"the connection broke after {done:,} of {total or size:,} bytes")


def _open(url: str, start: int) -> http.client.HTTPResponse | None:
    """The server's answer from byte ``start`` on; None if it has none from there."""
    request_range = {"Range": f"bytes={start}-"} if start else {}
    opener = urllib.request.build_opener(_Redirects)
    try:
        return opener.open(urllib.request.Request(url, headers=_HEADERS | request_range), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise CheckpointError(f"the server answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise BrokenTransferError(f"no answer within {TIMEOUT:g} s") from None
    except urllib.error.URLError as error:
        raise CheckpointError(f"no connection ({error.reason})") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CheckpointError(f"no connection ({error or type(error).__name__})") from None


def _first_byte(response: http.client.HTTPResponse) -> int | None:
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def _receive(response: http.client.HTTPResponse, part: Path, start: int, most: int | None, label: str) -> int:
    """Write what arrives behind the first ``start`` bytes; the size of ``part`` after that."""
    done, rest = start, None if most is None else most - start
    with _opened(part, start) as file, Progress(rest, "bytes", label=label) as progress:
        while chunk := _read(response):
            done += len(chunk)
            if most is not None and done > most:
                raise CheckpointError(f"expected {most:,} bytes, found more")
            try:
                file.write(chunk)
            except OSError as error:
                raise CheckpointError(f"{part}: cannot be written ({error.strerror})") from None
            progress.update(len(chunk))
    return done


def _opened(part: Path, start: int):
    try:
        return part.open("ab" if start else "wb", buffering=0)
    except OSError as error:
        raise CheckpointError(f"{part}: cannot be written ({error.strerror})") from None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except TimeoutError:
        raise BrokenTransferError(f"nothing received for {TIMEOUT:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise BrokenTransferError(f"the connection broke ({error or type(error).__name__})") from None
