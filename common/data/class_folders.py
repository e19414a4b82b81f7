"""Data sets kept as one folder of image files for each class."""

from pathlib import Path

from PIL import Image

from common.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png")
# Only these decoders: a file named .png may hold anything, and some of Pillow's decoders start other programs.
_FORMATS = ("JPEG", "PNG")


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
    """Everything in the folder except hidden files, sorted by name.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def image_files(folder: Path) -> list[Path]:
    """The image files of one class, sorted by name."""
    return [entry for entry in content(folder) if entry.suffix.lower() in SUFFIXES]


def class_folders(path: Path) -> list[Path]:
    """The folders in ``path``, sorted by name, whole numbers as numbers and first; files beside them are ignored."""
    return sorted((entry for entry in content(path) if entry.is_dir()), key=lambda folder: _place(folder.name))


def _place(name: str) -> tuple[bool, int, str]:
    number = name.isascii() and name.isdecimal()
    return not number, int(name) if number else 0, name


def holds_classes(path: Path) -> bool:
    """Whether some folder in ``path`` holds image files."""
    return any(image_files(folder) for folder in class_folders(path))


def list_classes(path: Path) -> list[tuple[Path, list[Path]]]:
    """Each class folder in ``path``, in the order of :func:`class_folders`, with its image files sorted by name.

    Raises:
        DataError: there is no class folder, or one holds no image.
    """
    classes = [(folder, image_files(folder)) for folder in class_folders(path)]
    if not classes:
        raise DataError(f"{path}: expected one folder of images for each class, found no folder")
    for folder, files in classes:
        if not files:
            raise DataError(f"{folder}: expected image files ({', '.join(SUFFIXES)}), found none")
    return classes


def read_rgb(file: str | Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image file; grey-scale, palette and CMYK images become RGB.

    Args:
        file: JPEG or PNG.
        size: the only (width, height) that is accepted, if given.

    Raises:
        DataError: the file is absent, damaged or of another size.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if size is None or image.size == size:
                return image.convert("RGB")
            found = f"{image.size[0]}x{image.size[1]}"
    except Exception as error:  # damaged files make Pillow raise many types, SyntaxError and struct.error among them
        raise DataError(f"{file}: not a readable JPEG or PNG image ({error}); replace or remove the file") from error
    raise DataError(f"{file}: expected an image of {size[0]}x{size[1]} pixels, found {found}")
