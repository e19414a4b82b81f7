"""Data sets kept as one folder of image files for each class."""

from collections import Counter
from pathlib import Path

from common.data import image_file, layout
from common.data.folder_content import class_folders, content, existing_folder, holds_classes, image_files, is_image
from common.data.notices import say_once
from common.errors import DataError

__all__ = ["class_folders", "content", "existing_folder", "holds_classes", "list_classes", "skipped", "skipped_line"]


def skipped(path: Path) -> list[Path]:
    """What lies in the class folders of ``path`` and is no image by its suffix."""
    return [entry for folder in class_folders(path) for entry in content(folder) if not is_image(entry)]


def list_classes(path: Path) -> list[tuple[Path, list[Path]]]:
    """Each class folder in ``path`` with its image files, both sorted by name; the other files are counted in one line.

    Raises:
        DataError: there is no class folder, or one holds no image.
    """
    classes = [(folder, image_files(folder)) for folder in class_folders(path)]
    if not classes or layout.are_parts([folder.name for folder, _ in classes]):
        raise DataError(f"{path}: expected one folder of images for each class, {layout.without_classes(path)}")
    for folder, files in classes:
        if not files:
            raise DataError(f"{folder}: expected image files ({image_file.USUAL}), {layout.without_images(folder)}")
    if others := skipped(path):
        say_once(f"skipped in {path}", f"{path}: {skipped_line(others)}")
    return classes


def skipped_line(others: list[Path]) -> str:
    """How many files are no images, by their suffixes."""
    kinds = Counter("folder" if entry.is_dir() else entry.suffix.lower() or "without suffix" for entry in others)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    what = "file was skipped" if len(others) == 1 else "files were skipped"
    return f"{len(others)} {what}, no image by its suffix ({counts}), such as {others[0].parent.name}/{others[0].name}"
