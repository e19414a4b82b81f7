"""Several processes of one program, started by MindSpore's launcher ``msrun``: which one this is, and sums over all.

Every process runs the whole program on its share of each batch. What they find they sum, so that all go on with the
same numbers; files are written by the first one alone (:mod:`common.files.atomic_file`).
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from common.distributed.launch import launched
from common.errors import ConfigError

Item = TypeVar("Item")
_rank, _size = 0, 1
_PARTS = 3  # float32 numbers whose sum is a float64 number: 3 x 24 bits of 53
_PIECE = 1 << 20  # numbers that are summed at a time: 24 MiB for each process


def start() -> None:
    """Join the other processes, if ``msrun`` started this one. :func:`common.runtime.context.setup` calls it.

    Raises:
        ConfigError: the environment says that there are others, and they do not come.
    """
    global _rank, _size
    launch = launched()
    if _size > 1 or launch is None:
        return
    from mindspore import communication  # takes seconds to import, and most programs run alone

    if launch.role == "MS_SCHED":
        communication.init()  # returns when the processes that work are done; ends the program
        return
    launch.wait_for_scheduler()
    try:
        with launch.bounded():
            communication.init()
    except (RuntimeError, ValueError):  # many lines, after as many warnings
        raise ConfigError(launch.incomplete()) from None
    _rank, _size = communication.get_rank(), communication.get_group_size()


def rank() -> int:
    """Number of this process, from 0."""
    return _rank


def size() -> int:
    """Number of processes."""
    return _size


def first() -> bool:
    """Whether this process is the one that writes files."""
    return _rank == 0


def share(items: Iterable[Item]) -> Iterator[Item]:
    """This process's part of a task whose results add up: every size-th item, from the rank-th; there may be none."""
    return itertools.islice(items, _rank, None, _size)


def gathered(values: np.ndarray) -> np.ndarray:
    """The values of all processes, float64 (size, ...) in their order, the same in each of them.

    Args:
        values: values of this process, finite and within the range of float32; all have the same shape.
    """
    local = np.asarray(values, np.float64)
    if _size == 1:
        return local[None]
    from mindspore import Tensor, ops

    board = np.zeros((_size, _PARTS, local.size), np.float32)  # MindSpore's sums on CPU are of float32 alone
    rest = local.ravel().copy()
    for part in board[_rank]:
        part[:] = rest
        rest -= part
    boards = ops.AllReduce()(Tensor(board)).asnumpy().astype(np.float64)  # all but one addend of each are zero
    return boards.sum(1).reshape(_size, *local.shape)


def total(values: np.ndarray) -> np.ndarray:
    """The sum over all processes, float64, in their order: bit for bit the same in each of them."""
    local = np.asarray(values, np.float64)
    pieces = np.array_split(local.ravel(), max(1, -(-local.size // _PIECE)))
    return np.concatenate([gathered(piece).sum(0) for piece in pieces]).reshape(local.shape)


def wait() -> None:
    """Wait until all processes have come here."""
    if _size > 1:
        total(np.zeros(1))
