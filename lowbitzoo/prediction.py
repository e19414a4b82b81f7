"""What a network says of pictures: the function, and the command for checkpoints."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.data.pictures import Prediction, picture_files, predictions, read_pictures
from common.errors import ConfigError
from common.runtime.installed import require_mindspore

if TYPE_CHECKING:
    from common.data import Preprocessing
    from common.stored.network import StoredNetwork

_BATCH = 32


def predict(
    stored: "StoredNetwork | str | Path",
    images: "Sequence[str | Path] | str | Path",
    *,
    top: int = 5,
    preprocessing: "Preprocessing | None" = None,
    class_names: "Sequence[str] | None" = None,
) -> list[Prediction]:
    r"""The most likely classes of pictures of any size and mode.

        for found in lowbitzoo.predict("dambq-resnet20-digits-w2a2", ["three.png", "folder"]):
            print(*found.lines(), sep="\n")

    Args:
        stored: from :func:`lowbitzoo.load` or :func:`lowbitzoo.quantize`, or what :func:`lowbitzoo.load` takes.
        images: paths of pictures, and of folders of them.
        top: number of classes of each picture.
        preprocessing: of the pictures; None: what the file records, else what is usual for its data set.
        class_names: of the logits; None: what the file records, else what is known of its data set.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit.
        ConfigError: nothing records the preprocessing, or MindSpore is not installed.
        DataError: a picture that is not there or cannot be read.
    """
    if isinstance(stored, str | Path):
        from lowbitzoo.networks import load

        stored = load(stored)
    paths = [images] if isinstance(images, str | Path) else images
    return list(_predicted(stored, picture_files(paths), top, preprocessing, class_names))


def command(words: Sequence[str]) -> None:
    """``python -m lowbitzoo predict NAME|FILE IMAGE...``, for checkpoints.

    Raises:
        CheckpointError, ConfigError, DataError: as :func:`predict`.
    """
    from common.cli.commands import classify

    args = classify.make_parser().parse_args(words)
    require_mindspore("predict")
    from common.runtime import context
    from lowbitzoo.networks import load

    context.setup(mode="pynative", threads=args.threads)
    files, stored = picture_files(args.images), load(args.checkpoint)
    for found in _predicted(stored, files, args.top, None, None):
        print(*found.lines(), sep="\n", flush=True)


def _predicted(
    stored: "StoredNetwork",
    files: list[Path],
    top: int,
    preprocessing: "Preprocessing | None",
    class_names: "Sequence[str] | None",
) -> Iterator[Prediction]:
    require_mindspore("predict")
    from mindspore import Tensor

    from common.runtime import context

    context.prepare_onednn()
    form = preprocessing or recorded_form(stored.metadata)
    names = class_names or recorded_names(stored.metadata)
    stored.network.set_train(False)
    size = min(_BATCH, len(files))
    with context.execution_mode("graph" if len(files) > _BATCH else "pynative"):  # compiling takes longer than a few
        for start in range(0, len(files), size):
            part = files[start : start + size]
            images = read_pictures(part, form)
            whole = np.concatenate([images, np.repeat(images[-1:], size - len(part), 0)])  # one shape, compiled once
            logits = stored.network(Tensor(whole)).asnumpy()[: len(part)]
            yield from predictions(part, logits, names, top)


def recorded_form(metadata: dict[str, Any]) -> "Preprocessing":
    """The preprocessing that a network's metadata record, or what is usual for its data set.

    Raises:
        ConfigError: they record neither.
    """
    from common.data import DATASETS
    from common.models.registry import preprocessing_of

    dataset = metadata.get("dataset")
    if "preprocessing" in metadata or dataset in DATASETS:
        return preprocessing_of(str(dataset), metadata)
    raise ConfigError(
        "preprocessing: expected a file that records it, found none; give preprocessing= to lowbitzoo.predict, or "
        "quantize with preprocessing="
    )


def recorded_names(metadata: dict[str, Any]) -> "Sequence[str] | None":
    """The names of the classes, in the order of the logits; None if they are not known."""
    from common.data.matching import recorded_classes

    classes = recorded_classes(metadata)
    return None if classes is None else classes.names
