"""Passes over images that look inside a network: the inputs of its layers, and BatchNorm statistics from them.

Several processes each run over batches of their own, and add up what they find.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common import distributed
from common.distributed.collective import SyncBatchNorm2d
from common.errors import DataError
from common.runtime.context import execution_mode

Images = Iterable[np.ndarray]  # batches (N, 3, H, W), float32

Take = Callable[[str, np.ndarray], None]


@contextlib.contextmanager
def input_hooks(cells: Mapping[str, nn.Cell], take: Take) -> Iterator[None]:
    """Hand the input of every named cell to ``take`` while the block runs (in PYNATIVE mode: hooks need it)."""

    def add(name: str, cell: nn.Cell):
        def before(_cell: nn.Cell, inputs: tuple) -> None:  # what a hook returns would take the inputs' place
            take(name, inputs[0].asnumpy())

        return cell.register_forward_pre_hook(before)

    with _hooked(cells, add):
        yield


@contextlib.contextmanager
def output_hooks(cells: Mapping[str, nn.Cell], take: Take) -> Iterator[None]:
    """The same of their outputs."""

    def add(name: str, cell: nn.Cell):
        def after(_cell: nn.Cell, _inputs: tuple, output: Any) -> None:
            take(name, output.asnumpy())

        return cell.register_forward_hook(after)

    with _hooked(cells, add):
        yield


@contextlib.contextmanager
def _hooked(cells: Mapping[str, nn.Cell], add: Callable[[str, nn.Cell], Any]) -> Iterator[None]:
    with execution_mode("pynative"):
        handles = [add(name, cell) for name, cell in cells.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def run_over(network: nn.Cell, images: Images) -> None:
    """Run a network on all batches for what its hooks see.

    Raises:
        DataError: there is no image, in any process.
    """
    seen = 0
    for batch in images:
        network(Tensor(batch))
        seen += len(batch)
    if not distributed.total(seen):
        raise DataError("the calibration set is empty: give at least one image")


def batch_norms(network: nn.Cell) -> dict[str, nn.BatchNorm2d]:
    """The BatchNorm cells of a network by name."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)}


@contextlib.contextmanager
def batch_statistics(network: nn.Cell) -> Iterator[None]:
    """While the block runs, every BatchNorm normalises by the statistics of its batch, in PYNATIVE mode.

    As in training, dropout apart, but in each process by those of its own batch: processes may run over different
    numbers of batches, and each batch gives what it gives one process.
    """
    together = [norm for norm in batch_norms(network).values() if isinstance(norm, SyncBatchNorm2d)]
    network.set_train(False)  # a dropout that ran would be part of the statistics
    for norm in batch_norms(network).values():
        norm.set_train(True)
    for norm in together:
        norm.alone = True
    try:
        yield
    finally:
        network.set_train(False)
        for norm in together:
            norm.alone = False


Moments = dict[str, tuple[np.ndarray, np.ndarray]]  # mean and variance of each channel, by norm


def moving_statistics(network: nn.Cell) -> Moments:
    """A copy of the moving mean and variance of every BatchNorm."""
    norms = batch_norms(network).items()
    return {name: (norm.moving_mean.asnumpy().copy(), norm.moving_variance.asnumpy().copy()) for name, norm in norms}


def set_moving_statistics(network: nn.Cell, statistics: Moments) -> None:
    """Give the BatchNorms that are named their moving statistics."""
    norms = batch_norms(network)
    for name, (mean, variance) in statistics.items():
        norms[name].moving_mean.set_data(Tensor(mean.astype(np.float32)))
        norms[name].moving_variance.set_data(Tensor(variance.astype(np.float32)))


@contextlib.contextmanager
def moving_statistics_kept(network: nn.Cell) -> Iterator[None]:
    """After the block, every BatchNorm has the moving statistics of before: passes as in training move them."""
    kept = moving_statistics(network)
    try:
        yield
    finally:
        set_moving_statistics(network, kept)


def batch_norm_inputs(network: nn.Cell, images: Images) -> Moments:
    """Exact mean and variance of every BatchNorm's input over ``images``; of those that are not called, nothing.

    Each process gives batches of its own; the moments are those of the images of all of them.

    The network runs as in training, each BatchNorm normalising by the statistics of its batch, and every BatchNorm
    must be a cell that sees its input; it stays as it is.

    Raises:
        DataError: there is no image, in any process.
    """
    norms = batch_norms(network)
    sums = {name: np.zeros((3, norm.num_features)) for name, norm in norms.items()}

    def take(name: str, x: np.ndarray) -> None:  # (N, C, H, W)
        count = np.full(x.shape[1], x[:, 0].size)
        sums[name] += np.stack((x.sum((0, 2, 3), np.float64), np.square(x, dtype=np.float64).sum((0, 2, 3)), count))

    with moving_statistics_kept(network), batch_statistics(network), input_hooks(norms, take):
        run_over(network, images)
    found = {}
    for name in norms:
        total, squares, count = distributed.total(sums[name])
        if count.all():
            mean = total / count
            found[name] = mean, (squares / count - mean**2).clip(0)
    return found


def reestimate_batch_norm(network: nn.Cell, images: Images) -> None:
    """Set the moving statistics of every BatchNorm to those of its input over ``images``, see above.

    The images must be augmented as in the network's training: the black border of a random crop shifts the
    statistics, and without it the published CIFAR-10 networks lose points already in float.

    Raises:
        DataError: there is no image, in any process.
    """
    set_moving_statistics(network, batch_norm_inputs(network, images))


def shift_batch_norm(network: nn.Cell, before: Moments, after: Moments) -> None:
    r"""Move the moving statistics of every BatchNorm by what a change of the network did to its input.

    .. math::
        \mu \leftarrow \mu + m' - m, \qquad \sigma^2 \leftarrow \sigma^2\,\frac{v' + \epsilon}{v + \epsilon}

    with the moments m, v before and m', v' after it, of the same images: what these few images have unlike those of the
    training falls out, so that a change of nothing changes no statistics, where :func:`reestimate_batch_norm` would
    forget the training's.

    Args:
        network: changed, its moving statistics still those of before.
        before: :func:`batch_norm_inputs` before the change.
        after: the same after it, over the same images in the same batches.
    """
    norms, moving, moved = batch_norms(network), moving_statistics(network), {}
    for name in before.keys() & after.keys():
        (mean, variance), (new_mean, new_variance), eps = before[name], after[name], norms[name].eps
        moved[name] = (
            moving[name][0] + new_mean - mean,
            moving[name][1] * ((new_variance + eps) / (variance + eps)),
        )
    set_moving_statistics(network, moved)


class StatisticsShift:
    """What the BatchNorms of a network see of some images now, to shift their moving statistics after a change of it.

    Args:
        network: as it is before the change, its moving statistics those that belong to it.
        images: gives the batches (N, 3, H, W) of a pass, the same each time.

    Raises:
        DataError: there is no image, in any process.
    """

    def __init__(self, network: nn.Cell, images: Callable[[], Images]):
        self.network, self.images = network, images
        self.moving, self.before = moving_statistics(network), batch_norm_inputs(network, images())

    def __call__(self) -> None:
        """Shift the statistics of before, whatever they have become, for the network as it is now."""
        set_moving_statistics(self.network, self.moving)
        shift_batch_norm(self.network, self.before, batch_norm_inputs(self.network, self.images()))
