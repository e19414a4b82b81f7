"""Images that are in the training and in the test part: accuracy on them says nothing of others."""

import functools
import hashlib
import os

from common.data.arrays import ImageArrays
from common.data.imagenet import ImageFolder
from common.data.notices import say_once
from common.data.source import ImageSource


def shared_images(train: ImageSource, test: ImageSource) -> int:
    """How many test images are training images too: by their pixels in memory, by their paths on disk.

    Copies under other names on disk take reading all files: ``python -m lowbitzoo check`` does.
    """
    known = set(_keys(train))
    return sum(key in known for key in _keys(test))


def say_shared(train: ImageSource, test: ImageSource) -> None:
    """Print a warning if there are such images."""
    if shared := shared_images(train, test):
        images = f"{shared} of {len(test)} test images are training images too"
        say_once("shared", f"{images}: the accuracy on them is none of unseen images; separate the parts")


def _keys(source: ImageSource) -> list[bytes]:
    if isinstance(source, ImageArrays):
        return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in source.images]
    real = functools.cache(os.path.realpath)  # of folders, for that of each of a million files takes a minute
    files = map(os.path.split, source.files) if isinstance(source, ImageFolder) else ()
    return [os.fsencode(f"{real(folder)}/{name}") for folder, name in files]
