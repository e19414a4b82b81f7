"""Official archives of data sets: which files they hold, and their unpacking as if they came from an enemy."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from common.errors import DataError
from common.files import temporary
from common.files.atomic_file import put_in_place

_HOME = "https://www.cs.toronto.edu/~kriz"
_CHUNK = 1 << 20
_FACTOR = 2  # bytes that are unpacked at most, relative to the files that are wanted


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes:
        size: bytes.
        sha1: of its content, 40 hexadecimal digits; None: not known, that of the archive counts.
    """

    size: int
    sha1: str | None = None


@dataclass(frozen=True)
class Archive:
    """A ``.tar.gz`` file with the binary form of a data set.

    Attributes:
        file: its name.
        url: where its authors published it.
        size: bytes.
        sha256: of the archive, 64 hexadecimal digits.
        folder: in it, and where the members are put.
        members: the files that are read, by their names in ``folder``.
    """

    file: str
    url: str
    size: int
    sha256: str
    folder: str
    members: Mapping[str, Member]


_PART, _PART_100 = 10_000 * 3073, 10_000 * 3074
ARCHIVES = {
    "cifar10": Archive(
        "cifar-10-binary.tar.gz",
        f"{_HOME}/cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        "cifar-10-batches-bin",
        {
            "data_batch_1.bin": Member(_PART, "aadd24acce27caa71bf4b10992e9e7b2d74c2540"),
            "data_batch_2.bin": Member(_PART, "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"),
            "data_batch_3.bin": Member(_PART, "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"),
            "data_batch_4.bin": Member(_PART, "aab85764eb3584312d3c7f65fd2fd016e36a258e"),
            "data_batch_5.bin": Member(_PART, "26e2849e66a845b7f1e4614ae70f4889ae604628"),
            "test_batch.bin": Member(_PART, "67eb016db431130d61cd03c7ad570b013799c88c"),
        },
    ),
    "cifar100": Archive(
        "cifar-100-binary.tar.gz",
        f"{_HOME}/cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        "cifar-100-binary",
        {"train.bin": Member(5 * _PART_100), "test.bin": Member(_PART_100)},
    ),
}


def missing(archive: Archive, root: Path) -> list[str]:
    """Names of the members that are not there, or not as they should be, below ``root``."""
    return [name for name, member in archive.members.items() if not _is(member, root / archive.folder / name)]


def _is(member: Member, path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != member.size:
            return False
        return member.sha1 in (None, hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest())
    except OSError:
        return False


def unpack(archive: Archive, file: Path, root: Path) -> None:
    """Put the members into ``root/folder``, each whole or not at all; whatever else the archive holds stays in it.

    Names decide what is taken, so no path of the archive is ever written to; links and devices are no files.

    Raises:
        DataError: it is no such archive, lacks a member, or one has another content; or the folder cannot be written.
    """
    done = []
    try:
        (root / archive.folder).mkdir(parents=True, exist_ok=True)
        with gzip.open(file) as stream:
            wanted = sum(member.size for member in archive.members.values())
            bounded = cast(IO[bytes], _Bounded(cast(IO[bytes], stream), _FACTOR * wanted + _CHUNK))
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for entry in tar:
                    folder, _, name = entry.name.removeprefix("./").rpartition("/")
                    if folder == archive.folder and name in archive.members and name not in done:
                        _take(tar, entry, archive.members[name], root / folder / name)
                        done.append(name)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, ValueError) as error:
        raise DataError(f"{file}: expected a .tar.gz archive, found a damaged one ({error}); fetch it anew") from None
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read or written ({error.strerror or error})") from None
    if lacking := [name for name in archive.members if name not in done]:
        raise DataError(f"{file}: expected {archive.folder}/{lacking[0]} in it, found none; fetch it anew")


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, member: Member, target: Path) -> None:
    if not entry.isreg() or entry.size != member.size:
        found = f"one of {entry.size:,}" if entry.isreg() else "a link or a folder"
        raise DataError(f"{entry.name}: expected a file of {member.size:,} bytes in the archive, found {found}")
    temporary.clean_once(target.parent)
    unfinished, digest = temporary.beside(target), hashlib.sha1(usedforsecurity=False)
    try:
        with unfinished.open("xb") as file:
            content = cast(IO[bytes], tar.extractfile(entry))  # None only for what is no regular file
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if member.sha1 not in (None, digest.hexdigest()):
            raise DataError(f"{entry.name}: expected sha1 {member.sha1}, found {digest.hexdigest()}; fetch it anew")
        put_in_place(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


class _Bounded(io.RawIOBase):
    """A stream that ends with an error after so many bytes: a small archive can hold endless zeros."""

    def __init__(self, stream: IO[bytes], most: int):
        super().__init__()
        self.stream, self.left = stream, most

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            ValueError: there are more than were allowed.
        """
        content = self.stream.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        if self.left < 0:
            raise ValueError("it unpacks to more than it should hold")
        return content
