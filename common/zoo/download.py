"""Fetching a registered checkpoint into the cache: from mirrors in order, verified, whole or not at all."""

import os
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from common.errors import CheckpointError
from common.files.atomic_file import put_in_place, write_text
from common.files.recognised import recognised
from common.zoo.registry import Entry
from common.zoo.store import expected_sha256, fault_of, found_sha256_file, locked, path_of, sha256

VARIABLE = "LOWBITZOO_MIRRORS"
MAX_BYTES = 2**30  # of a file whose size is not registered
_BEGINNING = 4096  # bytes that show what a file is


def addresses(entry: Entry, mirrors: Sequence[str] | None = None) -> list[str]:
    """Where the file can be, in the order to try.

    Args:
        entry: an external one.
        mirrors: ``http(s)://`` or ``file://`` addresses or folders, each with the files under their names; None for
            those of ``$LOWBITZOO_MIRRORS`` (separated by commas), else the place where the file was published.
    """
    if mirrors is None:
        mirrors = [mirror.strip() for mirror in os.environ.get(VARIABLE, "").split(",") if mirror.strip()]
    if not mirrors:
        return [entry.url] if entry.url else []
    return [f"{mirror.rstrip('/')}/{entry.file}" for mirror in mirrors]


def download(
    entry: Entry,
    mirrors: Sequence[str] | None = None,
    allow_unverified: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """The verified file of an external entry in the cache, fetched unless it is there.

    It is written beside its place and takes its name only after its sha256 was found right. One process fetches, others
    wait for it. What a broken transfer left is continued, by the next call too.

    Args:
        entry: to fetch.
        mirrors: see :func:`addresses`.
        allow_unverified: fetch a file whose sha256 is not registered; the one found is printed and verified from then
            on. It is never empty, a web page, or shorter than its server says.
        max_bytes: of a file whose size is not registered.

    Raises:
        CheckpointError: no address gives the right file; the message says where to put it by hand.
    """
    target = path_of(entry)
    if target is None:
        raise CheckpointError(
            f"{entry.name}: the name of its file was not published; look for it at {entry.url} and give its path"
        )
    with locked(target):
        fault = fault_of(entry)
        if fault is None:
            return target
        if expected_sha256(entry) is None and not allow_unverified:
            raise CheckpointError(
                f"{entry.name}: expected a registered sha256, found none; take the file unverified with "
                f"'python -m lowbitzoo download {entry.name} --allow_unverified', or give the path of your own copy"
            )
        if target.exists():
            print(f"{fault}; fetching it anew", file=sys.stderr)
        return _from_any(entry, target, addresses(entry, mirrors), max_bytes)


def _from_any(entry: Entry, target: Path, places: Sequence[str], max_bytes: int) -> Path:
    causes = []
    for place in places:
        try:
            return _from(place, entry, target, max_bytes)
        except CheckpointError as error:
            causes.append(f"{place}: {error}")
    digest = f" (sha256 {entry.sha256})" if entry.sha256 else ""
    raise CheckpointError(
        f"{entry.name}: could not be fetched: {'; '.join(causes)}; put the file{digest} at {target} by hand, or name "
        f"other places with --mirrors or {VARIABLE}"
    )


def _from(place: str, entry: Entry, target: Path, max_bytes: int) -> Path:
    part, expected = target.with_name(f".{target.name}.part"), expected_sha256(entry)
    if expected is None or part.is_symlink():
        part.unlink(missing_ok=True)  # nothing would tell whether its beginning belongs to this file
    continued = _transfer(place, part, entry, max_bytes)
    if expected is None:
        _check_unverified(part)
    found = sha256(part)
    if expected not in (None, found):
        part.unlink()
        if continued:  # the beginning may be of another file: once more from the first byte
            return _from(place, entry, target, max_bytes)
        raise CheckpointError(f"expected sha256 {expected}, found {found}")
    if expected is None:
        print(f"{entry.name}: not verified, sha256 {found}", file=sys.stderr)
        write_text(found_sha256_file(target), f"{found}\n")
    try:
        put_in_place(part, target)
    except OSError as error:
        raise CheckpointError(f"{target}: cannot be written ({error.strerror})") from None
    return target


def _check_unverified(part: Path) -> None:
    """Refuse, and remove, what cannot be a checkpoint though no sha256 tells so.

    Raises:
        CheckpointError: it is empty, or a page or pointer in its place.
    """
    with part.open("rb") as file:
        beginning = file.read(_BEGINNING)
    fault = recognised(beginning) if beginning else "an empty file"
    if fault:
        part.unlink()
        raise CheckpointError(f"expected a checkpoint, found {fault}")


def _transfer(place: str, part: Path, entry: Entry, max_bytes: int) -> bool:
    """Fetch all of the file; whether bytes of an earlier transfer are part of it."""
    local = _local(place)
    if local is not None:
        _copy(local, part, entry.size or max_bytes)
        return False
    from common.zoo import transfer  # brings requests, which most runs do not need

    return transfer.fetch(place, part, transfer.Limits(entry.size, max_bytes), entry.name)


def _copy(source: Path, part: Path, most: int) -> None:
    try:
        if source.exists() and not source.is_file():
            raise CheckpointError("expected a file, found a folder or a device")
        if (size := source.stat().st_size) > most:
            raise CheckpointError(f"expected at most {most:,} bytes, found {size:,}")
        part.unlink(missing_ok=True)
        shutil.copyfile(source, part)
    except OSError as error:
        raise CheckpointError(f"cannot be copied ({error.strerror})") from None


def _local(place: str) -> Path | None:
    """The path that an address means; None for one of the web.

    Raises:
        CheckpointError: an address of another kind, or none that can be read.
    """
    scheme, separator, _ = place.partition("://")
    try:
        if not separator:
            return Path(place).expanduser()
        if scheme == "file":
            return Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
    except (RuntimeError, ValueError) as error:  # an unknown user; brackets that do not match
        raise CheckpointError(f"expected a folder or an address, found one that cannot be read ({error})") from None
    if scheme not in ("http", "https"):
        raise CheckpointError(f"expected a folder or an address of http, https or file, found {scheme:.20}")
    return None
