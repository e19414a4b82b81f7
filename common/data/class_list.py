"""Labels from the names of class folders: those of a list, of the training part, or of the folders themselves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.data import class_folders
from common.data.class_names import known_names
from common.errors import ConfigError, DataError

# Lists that are taken where they lie inside a data folder.
FILE_NAMES = ("wnids.txt", "classes.txt")
_WORDNET_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class LabelOrder:
    """Where the labels of class folders come from: a list if there is one, else the folders' sorted names.

    Attributes:
        given: list of the classes, one a line; the label is the index of the line.
        inside: such a list that lies in the data folder; counts if none is given. Where it holds ImageNet's 1000 ids,
            in whatever order, these keep the labels by which networks know them.
        train: folder of the training images' class folders, whose names count for the test images too.
    """

    given: Path | None = None
    inside: Path | None = None
    train: Path | None = None

    @property
    def file(self) -> Path | None:
        """The list that counts."""
        return self.given or self.inside

    def refuse_list(self, data: object) -> None:
        """Raise ConfigError if a list was given for data that name their classes themselves."""
        if self.given is not None:
            raise ConfigError(f"a list of classes belongs to class folders, found {self.given} with {data}; drop it")

    def of_folders(self, part: Path) -> "FolderLabels":
        """The labels of the class folders in ``part``.

        Raises:
            DataError: a folder is no class of the list or of the training images, or the list is damaged.
        """
        present = [folder.name for folder in class_folders.class_folders(part)]
        if self.file is not None:
            labels = _listed(self.file, present)
            ids = known_names("imagenet") or ()
            if self.given is None and set(labels.names) == set(ids):
                labels = FolderLabels({name: label for label, name in enumerate(ids)}, ids)
            where, advice = f"in {self.file} ({len(labels.names)} names)", "remove the folder or list it"
        else:
            train = class_folders.class_folders(self.train) if self.train else []
            names = [folder.name for folder in train] or present
            labels = FolderLabels({name: label for label, name in enumerate(names)}, tuple(names))
            where, advice = f"in {self.train}", "remove the folder, or list all classes with --classes FILE"
        if absent := [name for name in present if name not in labels.by_folder]:
            raise DataError(f"{part / absent[0]}: expected the name of a class {where}; {advice}")
        return labels


@dataclass(frozen=True)
class FolderLabels:
    """The labels of class folders.

    Attributes:
        by_folder: label of each folder's name.
        names: of the classes, in the order of the labels.
    """

    by_folder: dict[str, int]
    names: tuple[str, ...]


def find_list(*folders: Path | None) -> Path | None:
    """The first list of classes that lies in one of the folders."""
    files = (folder / name for folder in folders if folder is not None for name in FILE_NAMES)
    return next((file for file in files if file.is_file()), None)


def _listed(file: Path, present: Sequence[str]) -> FolderLabels:
    """The labels that a list says.

    A line is the name of a folder, or such a name and the name of the class after it, as in ``3 cat``. What follows a
    WordNet id are words for people: the class keeps the id.
    """
    lines = read(file)
    parts = [line.split(maxsplit=1) for line in lines]
    if set(present) <= set(lines):
        folders = names = lines
    else:
        folders = [part[0] for part in parts]
        names = [part[0] if _WORDNET_ID.fullmatch(part[0]) else part[-1].strip() for part in parts]
    for column in (folders, names):
        if len(set(column)) < len(column):
            again = next(name for name in column if column.count(name) > 1)
            raise DataError(f"{file}: expected one different class on each line, found a repeated one, {again!r}")
    return FolderLabels({name: label for label, name in enumerate(folders)}, tuple(names))


def read(file: str | Path) -> list[str]:
    """The lines of a list of classes.

    Raises:
        DataError: the file cannot be read, is empty or has an empty line.
    """
    try:
        lines = [line.strip() for line in Path(file).read_text("utf-8-sig").rstrip().splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a text file with one class name a line ({error})") from error
    if not lines or "" in lines:
        raise DataError(f"{file}: expected one class name on each line, found an empty one")
    return lines
