"""A packed network as one file of the integer engine, which runs without MindSpore."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from common import report
from common.data import ImageSource, Preprocessing, batches, eval_dataset
from common.engine.about import About
from common.engine.compiler import compile_network
from common.engine.layout import Program
from common.engine.opened import OpenedFile
from common.engine.runtime_file import encode
from common.errors import ConfigError, ExportError, QuantizationError
from common.export.described import describe_network
from common.stored.network import StoredNetwork


@dataclass(frozen=True, eq=False)
class LowbitFile:
    """What is written, and what it computes.

    Attributes:
        content: of the file.
        compute: from normalised images (N, 3, H, W) to logits (N, K).
    """

    content: bytes
    compute: Callable[[np.ndarray], np.ndarray]


def encode_network(
    stored: StoredNetwork, images: ImageSource, preprocessing: Preprocessing, batch_size: int
) -> LowbitFile:
    """The file of a network, with the accuracy that it has on images.

    Args:
        stored: packed network.
        images: to measure the accuracy on, of the network's classes.
        preprocessing: of the images.
        batch_size: images per step; no result depends on it.

    Raises:
        ExportError: the network is not packed, or has layers that the engine does not know.
    """
    program, about = _said(stored, preprocessing)
    compute = _file(program, about).compute
    accuracy = _accuracy(compute, images, preprocessing, batch_size)
    return LowbitFile(encode(program, replace(about, accuracy=accuracy, samples=len(images))), compute)


def encode_unmeasured(stored: StoredNetwork, preprocessing: Preprocessing) -> LowbitFile:
    """The file of a network whose accuracy nobody has measured; arguments and errors as of :func:`encode_network`."""
    return _file(*_said(stored, preprocessing))


def _said(stored: StoredNetwork, preprocessing: Preprocessing) -> tuple[Program, About]:
    return _program(stored, preprocessing), About.of(stored.metadata, preprocessing, producer=_producer())


def _file(program: Program, about: About) -> LowbitFile:
    content = encode(program, about)
    opened = OpenedFile(content)
    return LowbitFile(content, lambda x: opened.run(x, 0)[:, : opened.classes])


def _program(stored: StoredNetwork, preprocessing: Preprocessing) -> Program:
    if stored.kind != "packed":
        raise ExportError(
            f"lowbit: expected a packed network, found a {stored.kind} one; give the packed file that training, "
            "conversion or eval.py --save_checkpoint writes"
        )
    try:
        return compile_network(describe_network(stored, preprocessing.image_size), plain=True)
    except (QuantizationError, ConfigError) as error:
        raise ExportError(f"lowbit: {error}; take --format mindir") from None


def _producer() -> str:
    return f"lowbitzoo {report.versions()['lowbitzoo']}"


def _accuracy(
    compute: Callable[[np.ndarray], np.ndarray], images: ImageSource, preprocessing: Preprocessing, batch_size: int
) -> float:
    correct = 0
    for batch in batches(eval_dataset(images, preprocessing, batch_size)):
        chosen = compute(batch["image"]).argmax(1)
        correct += int((chosen == batch["label"])[batch["valid"]].sum())
    return correct / len(images)
