"""Pictures of any size as a network sees them, and what it says of them; no MindSpore."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.data import image_file
from common.data.class_names import words
from common.data.preprocessing import Preprocessing
from common.data.views import CentralView
from common.errors import ConfigError, DataError


@dataclass(frozen=True)
class Prediction:
    """What a network says of a picture.

    Attributes:
        file: path of the picture.
        classes: names and shares (softmax of the logits) of the most likely classes, the most likely first; among equal
            logits the first class.
    """

    file: str
    classes: tuple[tuple[str, float], ...]

    def lines(self) -> list[str]:
        """The file, and a line for each class."""
        return [self.file, *(f"{100 * share:8.2f} %  {words(name)}" for name, share in self.classes)]


def picture_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files as they are, and in the place of a folder the pictures in it and below, in the order of their names.

    Raises:
        DataError: a path that is not there, or a folder without pictures.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            suffixes = image_file.suffixes()
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
            if not found:
                raise DataError(f"{path}: expected pictures ({image_file.USUAL}), found none in this folder")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"{path}: expected a picture or a folder of pictures, found no such file")
    return files


def read_pictures(files: Sequence[str | Path], preprocessing: Preprocessing) -> np.ndarray:
    """Pictures of any size and mode as evaluation sees them, float32 (N, 3, S, S).

    The shorter side is brought to ``resize``, or to S where the preprocessing has none; the middle is taken.

    Raises:
        DataError: a file that is no picture.
    """
    side, view = preprocessing.image_size, CentralView(preprocessing)
    images = np.empty((len(files), 3, side, side), np.float32)
    for place, file in enumerate(files):
        decoded = image_file.read(file, enough=view.enough)
        pixels = np.asarray(view.of(decoded.image, decoded.whole))
        preprocessing.normalize(pixels[None], images[place : place + 1])
    return images


def predictions(
    files: Sequence[str | Path], logits: np.ndarray, class_names: Sequence[str] | None, top: int = 5
) -> Iterator[Prediction]:
    """The most likely classes of each picture.

    Args:
        files: N paths.
        logits: (N, K).
        class_names: K names; None: the classes are numbers.
        top: number of classes of each picture, at most K.

    Raises:
        ConfigError: another number of names than of logits, or logits that are no numbers.
    """
    names = [f"class {number}" for number in range(logits.shape[1])] if class_names is None else class_names
    if len(names) != logits.shape[1]:
        raise ConfigError(f"class_names: expected {logits.shape[1]} names, one of each logit, found {len(names)}")
    if not np.isfinite(logits).all():
        raise ConfigError("expected logits that are numbers, found others: the file does not fit the network")
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    shares = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    for file, row, share in zip(files, logits, shares, strict=True):
        best = np.argsort(-row.astype(np.float64), kind="stable")[:top]
        yield Prediction(str(file), tuple((str(names[number]), float(share[number])) for number in best))
