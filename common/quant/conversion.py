"""Putting cells in the places of others in a network that exists already."""

from collections.abc import Collection, Mapping

import numpy as np
from mindspore import Tensor, nn

from common.quant.calibration import evaluating
from common.runtime.hooks import input_hooks


def replace_cells(network: nn.Cell, cells: Mapping[str, nn.Cell]) -> nn.Cell:
    """Put each cell in the place that its dotted name says, in place.

    Parameters get the names of their places, and nothing of an earlier compilation stays.

    Returns:
        The same network.
    """
    for name, cell in cells.items():
        _replace(network, name, cell)
    for name, parameter in network.parameters_and_names():
        parameter.name = name  # MindSpore demands distinct names; new cells come with short ones
    network.compile_cache.clear()  # a network that has run before would go on as it was compiled
    return network


def _replace(network: nn.Cell, name: str, cell: nn.Cell) -> None:
    *path, last = name.split(".")
    parent = network
    for part in path:
        parent = parent._cells[part]
    if isinstance(parent, nn.SequentialCell):
        parent._cells[last] = cell  # its own assignment fails where parameters are not named by their places
        parent.cell_list = list(parent._cells.values())
    else:
        setattr(parent, last, cell)


def signed_inputs(network: nn.Cell, names: Collection[str], image_size: int) -> list[str]:
    """Those of the named layers that see values below 0, so no ReLU is before them; found by running noise.

    Args:
        network: float, of images (N, 3, H, W).
        names: of layers of it.
        image_size: H and W.
    """
    cells, found = dict(network.cells_and_names()), dict.fromkeys(names, False)

    def take(name: str, x: np.ndarray) -> None:
        found[name] |= bool(x.min() < 0)

    noise = np.random.default_rng(0).normal(0, 1, (2, 3, image_size, image_size)).astype(np.float32)
    with evaluating(network), input_hooks({name: cells[name] for name in names}, take):
        network(Tensor(noise))
    return [name for name, signed in found.items() if signed]
