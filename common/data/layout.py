"""What lies in a folder that does not hold one folder of images for each class, in words, and how to sort it."""

from collections.abc import Sequence
from pathlib import Path

from common.data import folder_content

# Names that people give the parts of a data set.
_TRAIN = ("train", "training", "train_set", "training_set")
_TEST = ("val", "valid", "validation", "dev", "eval", "test", "testing", "test_set", "testing_set")
_PARTS = frozenset((*_TRAIN, *_TEST))
_ARCHIVES = (".tar", ".gz", ".tgz", ".xz", ".bz2", ".zip", ".7z", ".rar", ".zst")
_UNPACK = 'for f in *.tar; do mkdir -p "${f%.tar}" && tar -xf "$f" -C "${f%.tar}"; done'
_SORT = 'while read f c; do mkdir -p "$c" && mv "$f" "$c"; done < LIST'


def are_parts(names: Sequence[str]) -> bool:
    """Whether folders of these names are the parts of a data set and no classes."""
    return len(names) > 1 and _PARTS.issuperset(name.lower() for name in names)


def other_name(root: Path, part: str) -> Path | None:
    """The folder that holds the ``train`` or ``test`` images, by the names people give it; None if none does."""
    known = _TRAIN if part == "train" else _TEST
    entries = {entry.name.lower(): entry for entry in folder_content.class_folders(root)}
    return next((entries[name] for name in known if name in entries), None)


def missing_part(root: Path, name: str, part: str) -> str | None:
    """The message on a folder ``name`` that is missing where another seems to have its images; None if none has."""
    if (root / name).is_dir() or (other := other_name(root, part)) is None:
        return None
    option = "--train_dataset_path" if part == "train" else "--eval_dataset_path"
    return f"{root}: expected a folder {name}, found {other.name}; rename it, or give {option} {other}"


def hint(root: Path) -> str:
    """The end of a message on a folder that holds no data set: where it seems to be, or nothing."""
    entries = folder_content.content(root)
    deeper = next((entry for entry in entries if entry.is_dir() and _holds_data(entry)), None)
    if deeper:
        return f" (the images seem to lie one level deeper, in {deeper})"
    if archives := _archives(entries):
        return f" ({_counted(archives, 'archive')} to unpack)"
    images = [entry for entry in entries if folder_content.is_image(entry)]
    return f" ({_counted(images, 'image file')} side by side: sort them into a folder for each class)" if images else ""


def _holds_data(folder: Path) -> bool:
    names = [entry.name for entry in folder_content.class_folders(folder)]
    return folder_content.holds_classes(folder) or any(name.lower() in _PARTS for name in names)


def without_classes(path: Path) -> str:
    """Of a folder that has no class folders: what it holds, and what to do."""
    entries = folder_content.content(path)
    folders = [entry.name for entry in entries if entry.is_dir()]
    if folders:
        return f"found parts of a data set ({_listed(folders)}); give one of them, or rename them train and val"
    if archives := _archives(entries):
        return f"found {_counted(archives, 'archive')}, not unpacked; unpack each into a folder of its name: {_UNPACK}"
    if images := [entry for entry in entries if folder_content.is_image(entry)]:
        return (
            f"found {_counted(images, 'image file')} side by side; sort them into a folder for each class, by a LIST "
            f"of lines 'FILE CLASS': {_SORT} (for ImageNet: valprep.sh of soumith/imagenetloader.torch)"
        )
    return f"found no folder{f', but {_listed([entry.name for entry in entries])}' if entries else ''}; check the path"


def without_images(folder: Path) -> str:
    """Of a class folder that has no images: what it holds, and what to do."""
    entries = folder_content.content(folder)
    below = [entry for entry in entries if entry.is_dir() and folder_content.image_files(entry)]
    if folder.name.lower() in _PARTS:
        return f"found {_listed([entry.name for entry in entries])}: it seems to be a part of the data; give {folder}"
    if below:
        names = _listed([entry.name for entry in below])
        return f"found folders that hold them ({names}), one level deeper; give {folder} if they are its classes"
    if inner := next((entry for entry in entries if entry.is_dir() and folder_content.holds_classes(entry)), None):
        return f"found class folders one level deeper, in {inner}; give {folder} as the data set, or {inner}"
    if archives := _archives(entries):
        return f"found {_counted(archives, 'archive')}, not unpacked; unpack them there"
    others = f", but {_listed([entry.name for entry in entries])}" if entries else ""
    return f"found none{others}; remove the folder"


def _archives(entries: Sequence[Path]) -> list[Path]:
    return [entry for entry in entries if entry.suffix.lower() in _ARCHIVES and entry.is_file()]


def _counted(entries: Sequence[Path], what: str) -> str:
    number = f"{len(entries)} {what}{'' if len(entries) == 1 else 's'}"
    return f"{number} ({_listed([entry.name for entry in entries])})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "nothing"
