"""Putting cells in the places of others in a network that exists already."""

from collections.abc import Mapping

from mindspore import nn


def replace_cells(network: nn.Cell, cells: Mapping[str, nn.Cell]) -> nn.Cell:
    """Put each cell in the place that its dotted name says, and wherever else the same cell stands, in place.

    Parameters get the names of their places, and nothing of an earlier compilation stays.

    Returns:
        The same network.
    """
    places = dict(network.cells_and_names())
    by_old = {id(places[name]): cell for name, cell in cells.items()}
    for parent in places.values():
        if not any(parent is cell for cell in cells.values()):
            _replace_children(parent, by_old)
    for name, parameter in network.parameters_and_names():
        parameter.name = name  # MindSpore demands distinct names; new cells come with short ones
    network.compile_cache.clear()  # a network that has run before would go on as it was compiled
    return network


def _replace_children(parent: nn.Cell, by_old: Mapping[int, nn.Cell]) -> None:
    """Put new cells in the places of a cell's own children; a child may stand in several."""
    for key, child in list(parent._cells.items()):
        cell = by_old.get(id(child))
        if cell is None:
            continue
        if isinstance(parent, nn.SequentialCell):
            parent._cells[key] = cell  # its own assignment fails where parameters are not named by their places
            parent.cell_list = list(parent._cells.values())
        else:
            setattr(parent, key, cell)
