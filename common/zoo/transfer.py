"""Bringing the content of a web address into a file: continued where it broke off, limited in bytes and in time."""

import time
from pathlib import Path

import requests

from common.errors import CheckpointError
from common.report.progress import Progress
from common.zoo.web import BrokenTransferError, chunks, opened

TOTAL_SECONDS = 3600.0  # for one file from one address
_ATTEMPTS = 3  # as long as bytes arrive


def fetch(url: str, part: Path, size: int | None, label: str) -> bool:
    """Bring ``part`` to the whole content of ``url``, going on from what it holds.

    Args:
        url: ``http`` or ``https``.
        part: Of the same content, or absent; written anew where the server does not continue.
        size: Bytes that are expected, if known.
        label: Of the progress line.

    Returns:
        Whether bytes of an earlier connection may be part of it.

    Raises:
        CheckpointError: the server refuses, sends something else, breaks off or takes too long; what arrived is kept.
    """
    deadline, continued = time.monotonic() + TOTAL_SECONDS, False
    for attempt in range(_ATTEMPTS):
        before = _bytes_in(part)
        continued = continued or before > 0
        try:
            _fetch_rest(url, part, size, label, deadline)
            break
        except BrokenTransferError:
            if time.monotonic() >= deadline:
                raise CheckpointError(f"not complete after {TOTAL_SECONDS:g} s; what arrived is kept") from None
            if _bytes_in(part) <= before or attempt == _ATTEMPTS - 1:
                raise
    return continued


def _bytes_in(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _fetch_rest(url: str, part: Path, size: int | None, label: str, deadline: float) -> None:
    start = _bytes_in(part)
    if start and start == size:
        return
    with opened(url, start, deadline) as response:
        if response.status_code == 200 or _first_byte(response) == start:
            return _receive(response, part, start if response.status_code == 206 else 0, size, label)
    with opened(url, 0, deadline) as response:  # the server does not continue from there
        _receive(response, part, 0, size, label)


def _first_byte(response: requests.Response) -> int | None:
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else None


def _receive(response: requests.Response, part: Path, start: int, size: int | None, label: str) -> None:
    """Write what arrives behind the first ``start`` bytes of ``part``."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else size
    if None not in (size, total) and size != total:
        raise CheckpointError(f"expected {size:,} bytes, found {total:,}")
    done, rest = start, None if total is None else total - start
    try:
        with part.open("ab" if start else "wb", buffering=0) as file, Progress(rest, "bytes", label=label) as progress:
            for chunk in chunks(response):
                done += len(chunk)
                if total is not None and done > total:
                    raise CheckpointError(f"expected {total:,} bytes, found more")
                file.write(chunk)
                progress.update(len(chunk))
    except OSError as error:
        raise CheckpointError(f"{part}: cannot be written ({error.strerror})") from None
    if total is not None and done < total:
        raise BrokenTransferError(f"the connection broke after {done:,} of {total:,} bytes")
