"""Images that are in two parts of a data set."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from common.data.arrays import ImageArrays
from common.data.imagenet import ImageFolder
from common.data.source import ImageSource
from common.errors import DataError

# Files are compared where both parts together have at most so many; by their sizes and so many of their first bytes.
MOST_FILES = 20_000
_FIRST_BYTES = 65_536


def shared_images(train: ImageSource, test: ImageSource) -> int:
    """How many of the test images are training images too.

    Images in memory are compared by their pixels, files by their first bytes; the files of large data sets are not.

    Raises:
        DataError: a file cannot be read.
    """
    if isinstance(train, ImageArrays) and isinstance(test, ImageArrays):
        known = set(_pixels(train))
        return sum(digest in known for digest in _pixels(test))
    if isinstance(train, ImageFolder) and isinstance(test, ImageFolder) and len(train) + len(test) <= MOST_FILES:
        return _shared_files(train.files, test.files)
    return 0


def _pixels(source: ImageArrays) -> Iterator[bytes]:
    return (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in source.images)


def _shared_files(train: tuple[str, ...], test: tuple[str, ...]) -> int:
    sizes = {_size(file) for file in test}
    known = {_content(file) for file in train if _size(file) in sizes}
    return sum(_content(file) in known for file in test) if known else 0


def _size(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); restore or remove it") from error


def _content(file: str) -> tuple[int, bytes]:
    try:
        with Path(file).open("rb") as stream:
            return _size(file), hashlib.blake2b(stream.read(_FIRST_BYTES), digest_size=16).digest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); restore or remove it") from error
