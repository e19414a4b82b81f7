"""Bringing the content of a web address into a file: continued where it broke off, limited in bytes and in time."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from common.errors import CheckpointError
from common.report.progress import Progress
from common.zoo.web import BrokenTransferError, chunks, opened

TOTAL_SECONDS = 3600.0  # for one file from one address
_ATTEMPTS = 3  # as long as bytes arrive
_LENGTH = re.compile("[0-9]{1,15}")


@dataclass(frozen=True)
class Limits:
    """What a file may have.

    Attributes:
        size: bytes that are expected, None: not known; then the server must say how many there are.
        most: bytes that are taken at most where the size is not known.
    """

    size: int | None
    most: int


def fetch(url: str, part: Path, limits: Limits, label: str) -> bool:
    """Bring ``part`` to the whole content of ``url``, going on from what it holds.

    Args:
        url: ``http`` or ``https``.
        part: Of the same content, or absent; written anew where the server does not continue.
        limits: Of its bytes.
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
            _fetch_rest(url, part, limits, label, deadline)
            break
        except BrokenTransferError:
            if time.monotonic() >= deadline:
                raise CheckpointError(f"not complete after {TOTAL_SECONDS:g} s; what arrived is kept") from None
            if _bytes_in(part) <= before or attempt == _ATTEMPTS - 1:
                raise
    return continued


def _bytes_in(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _fetch_rest(url: str, part: Path, limits: Limits, label: str, deadline: float) -> None:
    start = _bytes_in(part)
    if start and start == limits.size:
        return
    with opened(url, start, deadline) as response:
        if response.status_code == 200 or _first_byte(response) == start:
            return _receive(response, part, start if response.status_code == 206 else 0, limits, label)
    with opened(url, 0, deadline) as response:  # the server does not continue from there
        _receive(response, part, 0, limits, label)


def _first_byte(response: requests.Response) -> int | None:
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else None


def _receive(response: requests.Response, part: Path, start: int, limits: Limits, label: str) -> None:
    """Write what arrives behind the first ``start`` bytes of ``part``."""
    total = _total(response, start, limits)
    most = limits.most if total is None else total
    done, rest = start, None if total is None else total - start
    try:
        with _opened_alone(part, start) as file, Progress(rest, "bytes", label=label) as progress:
            for chunk in chunks(response):
                done += len(chunk)
                if done > most:
                    raise CheckpointError(f"expected {'at most ' if total is None else ''}{most:,} bytes, found more")
                file.write(chunk)
                progress.update(len(chunk))
    except OSError as error:
        raise CheckpointError(f"{part}: cannot be written ({error.strerror})") from None
    if total is not None and done < total:
        raise BrokenTransferError(f"the connection broke after {done:,} of {total:,} bytes")


def _total(response: requests.Response, start: int, limits: Limits) -> int | None:
    """Bytes of the whole file, as the server says or as is known; None where the end of chunks will show it.

    Raises:
        CheckpointError: the two differ, there are too many, or nothing would tell a whole file from one cut off.
    """
    length = response.headers.get("Content-Length")
    if length is not None and not _LENGTH.fullmatch(length):
        raise CheckpointError(f"expected a number as Content-Length, found {length!r:.40}")
    total = limits.size if length is None else start + int(length)
    if limits.size is not None and total != limits.size:
        raise CheckpointError(f"expected {limits.size:,} bytes, found {total:,}")
    if total is None and "chunked" not in response.headers.get("Transfer-Encoding", "").lower():
        raise CheckpointError("expected a Content-Length, found none; nothing would show whether all has arrived")
    if total is not None and total > limits.most and limits.size is None:
        raise CheckpointError(f"expected at most {limits.most:,} bytes, found {total:,}; --max_bytes takes more")
    return total


def _opened_alone(part: Path, start: int) -> BinaryIO:
    """The file to write; a link in its place is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if start else os.O_TRUNC)
    return os.fdopen(os.open(part, flags, 0o666), "wb", buffering=0)
