"""Networks as MINDIR files, and such files as functions of images."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from common.runtime.context import execution_mode


def encode(network: nn.Cell, shape: tuple[int, int, int, int]) -> bytes:
    """The content of a MINDIR file.

    Args:
        network: network of MindSpore's own operators: a custom one would be only the name of a library of this machine.
        shape: shape of the images that the file's network takes, (N, 3, H, W), N included.
    """
    with tempfile.TemporaryDirectory() as folder, execution_mode("graph"):
        file = Path(folder) / "network.mindir"
        images = Tensor(np.zeros(shape, np.float32))
        ms.export(network.set_train(False), images, file_name=str(file), file_format="MINDIR")
        return file.read_bytes()


def decode(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a MINDIR file's content: images (N, 3, H, W) float32 to logits (N, classes)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.mindir"
        file.write_bytes(content)
        cell = nn.GraphCell(ms.load(str(file)))

    def run(images: np.ndarray) -> np.ndarray:
        with execution_mode("graph"):
            return cell(Tensor(images)).asnumpy()

    return run
