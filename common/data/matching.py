"""The classes of images compared with those of a network: the one place that decides whether labels mean the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.data.class_names import known_names, words
from common.data.source import ImageSource
from common.errors import CheckpointError, ConfigError

_SHOWN = 4
_IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Classes:
    """The classes that a network tells apart, or that labels refer to.

    Attributes:
        count: number of them.
        names: in the order of the labels; None if nothing records them.
    """

    count: int
    names: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.names is None:
            return f"{self.count} classes"
        shown = ", ".join(words(name).split(",")[0] for name in self.names[:_SHOWN])
        return f"{self.count} classes ({shown}{' ...' if self.count > _SHOWN else ''})"


@dataclass(frozen=True, eq=False)
class Matched:
    """Images whose labels are those of a network.

    Attributes:
        images: with as many classes as the network.
        note: what was done to the labels, for the user; empty if nothing was.
    """

    images: ImageSource
    note: str = ""


def classes_of(images: ImageSource) -> Classes:
    """The classes that the labels of images refer to."""
    return Classes(images.num_classes, images.class_names)


def recorded_classes(metadata: Mapping[str, Any], path: str | Path = "") -> Classes | None:
    """The classes that the metadata of a network record: their names, or a data set whose classes have names.

    Args:
        metadata: of the network's file; without a number of classes they record none.
        path: of the file, for messages.

    Raises:
        CheckpointError: names that are not as many different texts.
    """
    count, names = metadata.get("num_classes"), metadata.get("class_names")
    if not isinstance(count, int):
        return None
    if names is None:
        known = known_names(str(metadata.get("dataset")))
        return Classes(count, known if known and len(known) == count else None)
    where = f"{path}: " if str(path) else ""
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{where}expected class_names to be a list of texts, found something else")
    if len(names) != count or len(set(names)) != count:
        raise CheckpointError(f"{where}expected class_names of {count} different classes, found {len(set(names))}")
    return Classes(count, tuple(names))


def class_record(images: ImageSource, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Metadata of a network that learns from images: the names of the classes, as its file records them if it does."""
    recorded = recorded_classes(metadata or {})
    names = (recorded and recorded.names) or images.class_names
    return {} if names is None else {"class_names": list(names)}


def match(images: ImageSource, network: Classes, advice: str, what: str = "images") -> Matched:
    """The images with the labels of a network.

    ===============================================  ====================================================
    the images' names                                labels
    ===============================================  ====================================================
    not known, or the network's are not              as they are, if the numbers of classes are equal
    the network's, in its order                      as they are
    some or all of the network's, in any order       those of the network's classes of these names
    whole numbers in a row, as the network's are     as they are, if the numbers of classes are equal
    others                                           refused
    ===============================================  ====================================================

    Names are equal whatever their case, and whether words are joined by spaces, hyphens or underscores. A network of
    1000 classes whose names nothing records is taken for one of ImageNet's if the images are of some of these.

    Args:
        images: any.
        network: what its file records.
        advice: what the user can do if they do not fit.
        what: the images, in messages.

    Raises:
        ConfigError: the images are of other classes.
    """
    if network.names is None and images.num_classes != network.count:
        network = _as_imagenet(images, network)
    if images.class_names is None or network.names is None:
        fits, labels = images.num_classes == network.count, None
    else:
        labels = _by_name(images.class_names, network.names)
        fits = labels is not None or _numbered_alike(images.class_names, network.names)
    if not fits:
        raise ConfigError(f"expected {what} of {network}, found {classes_of(images)}; {advice}")
    if labels is None:
        return Matched(images, _note_of_numbers(images, network, what))
    if np.array_equal(labels, np.arange(network.count)):
        return Matched(images)
    note = f"labels matched by name: {len(labels)} classes of the {what}, among {network}"
    return Matched(images.relabelled(labels[images.labels], network.count, network.names), note)


def _as_imagenet(images: ImageSource, network: Classes) -> Classes:
    names = known_names("imagenet") if network.count == _IMAGENET_CLASSES else None
    if names is None or images.class_names is None or not set(images.class_names) <= set(names):
        return network
    return Classes(network.count, names)


def _by_name(data: Sequence[str], network: Sequence[str]) -> np.ndarray | None:
    """The network's label of each of the data's, int32; None if some name is not the network's."""
    labels = {_key(name): label for label, name in enumerate(network)}
    found = [labels.get(_key(name)) for name in data]
    if len(labels) < len(network) or None in found or len(set(found)) < len(found):
        return None
    return np.array(found, np.int32)


def _key(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _numbered_alike(data: Sequence[str], network: Sequence[str]) -> bool:
    """Whether both number as many classes, such as 1 to 10 and 0 to 9: they have an order and no names."""
    return len(data) == len(network) and _in_a_row(data) and _in_a_row(network)


def _in_a_row(names: Sequence[str]) -> bool:
    if not all(name.isascii() and name.isdecimal() for name in names):
        return False
    return [int(name) - int(names[0]) for name in names] == list(range(len(names)))


def _note_of_numbers(images: ImageSource, network: Classes, what: str) -> str:
    data, names = images.class_names, network.names
    if data is None or names is None:
        return ""
    return f"classes {data[0]} to {data[-1]} of the {what} are taken for {names[0]} to {names[-1]}"
