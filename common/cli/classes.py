"""The images of a script, with the labels of its network: every script opens and compares them here."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.data import DataSelection, ImageSource
from common.data.matching import Classes, classes_of, match, recorded_classes
from common.data.overlap import say_shared
from common.data.registry import class_root, label_order, open_split, without_parts
from common.errors import CheckpointError

# What the user can do if the classes do not fit.
_LIST = "list the class folders and the network's names for them with --classes FILE"
TO_USE = f"give other images or another checkpoint, or {_LIST}"
TO_TRAIN = f"{_LIST}, or train on these classes with train.py --pretrained FILE --new_head"
_PARTS = "give training and test images of the same classes"
_WORDS = {"train": "training images", "test": "test images"}


def open_images(data: DataSelection, split: str) -> ImageSource:
    """The ``train`` or ``test`` images of a selection; says which of them and whose labels were taken, if it chose.

    Raises:
        ConfigError, DataError: as :func:`common.data.open_split`.
    """
    source, what = open_split(data, split), _WORDS[split]
    order = label_order(data, split)
    if order.given is None and order.inside is not None and class_root(data, split) is not None:
        print(f"{what}: labels by {order.inside}, {source.num_classes} classes")
    if split == "test" and data.num_samples:
        print(f"{what}: {len(source)}, spread over {len(np.unique(source.labels))} classes")
    if split == "train" and (folder := without_parts(data)):
        print(f"warning: {folder} has no train and test parts: its images are both")
    return source


def fit(images: ImageSource, metadata: Mapping[str, Any], split: str = "test") -> ImageSource:
    """Images with the labels of the network whose metadata these are; says so where labels were matched.

    Raises:
        ConfigError: the images are of other classes.
        CheckpointError: the metadata do not record classes.
    """
    network = recorded_classes(metadata)
    if network is None:
        raise CheckpointError(f"expected num_classes in the metadata, found {metadata.get('num_classes')!r}")
    return _matched(images, network, TO_USE, split)


def open_train(data: DataSelection, network: Classes | None) -> ImageSource:
    """Training images of the classes of the network that a training begins with, if it has any.

    Raises:
        ConfigError, DataError: as :func:`open_both`.
    """
    train = open_images(data, "train")
    return train if network is None else _matched(train, network, TO_TRAIN, "train")


def open_both(data: DataSelection, network: Classes | None) -> tuple[ImageSource, ImageSource]:
    """Training and test images of the same classes: those of the network that a training begins with, if it has any.

    Raises:
        ConfigError: the images are of other classes, or each part of its own.
        DataError: as :func:`common.data.open_split`.
    """
    train = open_train(data, network)
    test = _matched(open_images(data, "test"), classes_of(train), _PARTS, "test")
    if without_parts(data) is None:
        say_shared(train, test)
    return train, test


def _matched(images: ImageSource, network: Classes, advice: str, split: str) -> ImageSource:
    matched = match(images, network, advice, _WORDS[split])
    if matched.note:
        print(matched.note)
    return matched.images
