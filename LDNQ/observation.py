"""Passes over the calibration images that look inside a network: layer inputs and BatchNorm statistics."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from mindspore import Tensor, nn

from common.context import execution_mode
from LDNQ.hessian import InputMoment
from LDNQ.network import geometry

Images = Iterable[np.ndarray]


@contextlib.contextmanager
def _input_hooks(cells: Mapping[str, nn.Cell], take: Callable[[str, np.ndarray], None]) -> Iterator[None]:
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


def input_hessian(network: nn.Cell, layer: nn.Cell, images: Images) -> np.ndarray:
    """Second moment of a layer's inputs in the network as it is now: (groups, n, n), see ``hessian.py``.

    BatchNorm normalises by the statistics of each batch, as it does while the network is trained to match: those
    follow the quantized layers before it at once, the moving ones only after some steps.

    Args:
        network: its first layers quantized.
        layer: a convolution or linear layer of it.
        images: batches (N, 3, H, W).

    Raises:
        DataError: there is no image.
    """
    moment = InputMoment(geometry(layer))
    with _moving_statistics_kept(network), _input_hooks({"": layer}, lambda _, x: moment.add(x)):
        for batch in images:
            network(Tensor(batch))
    return moment.hessian


@contextlib.contextmanager
def _moving_statistics_kept(network: nn.Cell) -> Iterator[None]:
    norms = _norms(network).values()
    kept = [(norm.moving_mean.asnumpy().copy(), norm.moving_variance.asnumpy().copy()) for norm in norms]
    network.set_train(True)
    try:
        yield
    finally:
        network.set_train(False)
        for norm, (mean, variance) in zip(norms, kept):
            norm.moving_mean.set_data(Tensor(mean))
            norm.moving_variance.set_data(Tensor(variance))


def reestimate_batch_norm(network: nn.Cell, images: Images) -> None:
    """Set the moving statistics of every BatchNorm to the exact mean and variance of its input over ``images``.

    The network runs as in training. The images must be augmented as in its training: a black border shifts the
    statistics, and without it the published CIFAR-10 networks lose points already in float.
    """
    norms = _norms(network)
    moments = {name: np.zeros((3, norm.num_features)) for name, norm in norms.items()}

    def take(name: str, x: np.ndarray) -> None:  # (N, C, H, W)
        count = np.full(x.shape[1], x[:, 0].size)
        moments[name] += np.stack((x.sum((0, 2, 3), np.float64), np.square(x).sum((0, 2, 3), np.float64), count))

    network.set_train(True)
    with _input_hooks(norms, take):
        for batch in images:
            network(Tensor(batch))
    network.set_train(False)
    for name, norm in norms.items():
        total, squares, count = moments[name]
        mean = total / count
        norm.moving_mean.set_data(Tensor(mean.astype(np.float32)))
        norm.moving_variance.set_data(Tensor((squares / count - mean**2).clip(0).astype(np.float32)))


def _norms(network: nn.Cell) -> dict[str, nn.BatchNorm2d]:
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)}
