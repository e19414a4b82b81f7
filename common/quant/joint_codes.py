r"""Codes of all candidates of a weight as one number: the cell of the real line that the weight lies in.

The borders between the levels of all grids cut the line into cells, and the cell says the code of every grid, nested or
not. DoReFa's grid of k bits has 2^k - 1 borders, some of them those of other grids: 2, 3 and 4 bits give 22 cells, 3, 4
and 5 bits 52. So 5 bits say what the codes say in 9, and 6 what they say in 12.
"""

from collections.abc import Sequence

import numpy as np

from common.errors import QuantizationError
from common.quant.integer_weight import IntegerWeight
from common.quant.packing import packed_size

MOST_CELLS = 256


def join(weights: Sequence[IntegerWeight]) -> tuple[np.ndarray, np.ndarray] | None:
    """Cells and the cell of each weight, where they take fewer bytes than the candidates' codes.

    Args:
        weights: candidates of a layer, codes (F, ...) each.

    Returns:
        Codes (cells, candidates) of the cells that are in use, and their numbers (F, ...), both uint8; None where the
        codes take fewer bytes, where candidates have bits of each channel, or where there is one alone.
    """
    if len(weights) < 2 or any(len(weight.bits) > 1 for weight in weights):
        return None
    rows = np.stack([weight.codes.ravel() for weight in weights], 1)
    cells, numbers = np.unique(rows, axis=0, return_inverse=True)
    apart = sum(packed_size(len(rows), int(weight.bits[0])) for weight in weights)
    if len(cells) > MOST_CELLS or packed_size(len(rows), width(len(cells))) + cells.size + 1 >= apart:
        return None
    return cells, numbers.astype(np.uint8).reshape(weights[0].codes.shape)


def width(cells: int) -> int:
    """Bits of the number of a cell, at least 1."""
    return max(1, (cells - 1).bit_length())


def split(cells: np.ndarray, numbers: np.ndarray) -> list[np.ndarray]:
    """The codes of each candidate, of the shape of the numbers.

    Raises:
        QuantizationError: a number that is not a cell's.
    """
    if numbers.max(initial=0) >= len(cells):
        raise QuantizationError(f"expected numbers of {len(cells)} cells, found {numbers.max()}")
    return list(np.moveaxis(cells[numbers], -1, 0))
