"""What lies in the folders of a data set: images by their suffixes, and folders; nothing that systems put there."""

from pathlib import Path

from common.data import image_file
from common.errors import DataError

# What file managers, archivers and file systems leave behind; their hidden ones begin with a dot.
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "#recycle", "#snapshot", "lost+found", "$recycle.bin", "system volume information")
)
_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "icon\r"))


def existing_folder(path: str | Path) -> Path:
    """The path as a folder that is there.

    Raises:
        DataError: it is absent or no folder.
    """
    folder = Path(path)
    try:
        if folder.is_dir():
            return folder
        found = "a file" if folder.exists() else "nothing"
    except (OSError, ValueError) as error:
        found = str(error)
    raise DataError(f"{path}: expected a data set folder, found {found}; check the path")


def content(folder: Path) -> list[Path]:
    """Everything in the folder except hidden files and those of systems, sorted by name.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        return sorted((entry for entry in folder.iterdir() if not _ignored(entry.name)), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS | _SYSTEM_FILES


def is_image(file: Path) -> bool:
    """Whether the suffix is that of an image."""
    return file.suffix.lower() in image_file.suffixes()


def image_files(folder: Path) -> list[Path]:
    """The image files of one class, sorted by name."""
    return [entry for entry in content(folder) if is_image(entry)]


def class_folders(path: Path) -> list[Path]:
    """The folders in ``path``, sorted by name, whole numbers as numbers and first; files beside them are ignored."""
    return sorted((entry for entry in content(path) if entry.is_dir()), key=lambda folder: _place(folder.name))


def _place(name: str) -> tuple[bool, int, str]:
    number = name.isascii() and name.isdecimal()
    return not number, int(name) if number else 0, name


def holds_classes(path: Path) -> bool:
    """Whether some folder in ``path`` holds image files."""
    return any(image_files(folder) for folder in class_folders(path))
