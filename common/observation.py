"""Passes over images that look inside a network: the inputs of its layers, and BatchNorm statistics from them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from mindspore import Tensor, nn

from common.context import execution_mode
from common.errors import DataError

Images = Iterable[np.ndarray]  # batches (N, 3, H, W), float32


@contextlib.contextmanager
def input_hooks(cells: Mapping[str, nn.Cell], take: Callable[[str, np.ndarray], None]) -> Iterator[None]:
    """Hand the input of every named cell to ``take`` while the block runs (in PYNATIVE mode: hooks need it)."""

    def hook(name: str):
        def before_call(_cell, inputs):
            take(name, inputs[0].asnumpy())

        return before_call

    with execution_mode("pynative"):
        handles = [cell.register_forward_pre_hook(hook(name)) for name, cell in cells.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def run_over(network: nn.Cell, images: Images) -> None:
    """Run a network on all batches for what its hooks see.

    Raises:
        DataError: there is no image.
    """
    seen = 0
    for batch in images:
        network(Tensor(batch))
        seen += len(batch)
    if not seen:
        raise DataError("the calibration set is empty: give at least one image")


def batch_norms(network: nn.Cell) -> dict[str, nn.BatchNorm2d]:
    """The BatchNorm cells of a network by name."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)}


def reestimate_batch_norm(network: nn.Cell, images: Images) -> None:
    """Set the moving statistics of every BatchNorm to the exact mean and variance of its input over ``images``.

    The network runs as in training, each BatchNorm normalising by the statistics of its batch, and every BatchNorm
    must be a cell that sees its input. The images must be augmented as in the network's training: the black border of
    a random crop shifts the statistics, and without it the published CIFAR-10 networks lose points already in float.

    Raises:
        DataError: there is no image.
    """
    norms = batch_norms(network)
    moments = {name: np.zeros((3, norm.num_features)) for name, norm in norms.items()}

    def take(name: str, x: np.ndarray) -> None:  # (N, C, H, W)
        count = np.full(x.shape[1], x[:, 0].size)
        moments[name] += np.stack((x.sum((0, 2, 3), np.float64), np.square(x, dtype=np.float64).sum((0, 2, 3)), count))

    network.set_train(True)
    try:
        with input_hooks(norms, take):
            run_over(network, images)
    finally:
        network.set_train(False)
    for name, norm in norms.items():
        total, squares, count = moments[name]
        mean = total / count
        norm.moving_mean.set_data(Tensor(mean.astype(np.float32)))
        norm.moving_variance.set_data(Tensor((squares / count - mean**2).clip(0).astype(np.float32)))
