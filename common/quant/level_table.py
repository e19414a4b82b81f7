r"""Level tables: what the integer codes of weights stand for, by name.

A code c of k bits stands for the level :math:`L_k(c)`; a weight is a level times a scale. The tables of one method
alone are registered by it (:mod:`DAMBQ.tables`, :mod:`LDNQ.levels`); two are common:

============  ==========================================  =================  ======================
name          :math:`L_k(c)`, c = 0 ... n - 1              bits k             zero among the levels
============  ==========================================  =================  ======================
``unsigned``  :math:`c`, n = 2^k                          1 to 8             yes
``signed``    :math:`c - (2^{k-1} - 1)`, n = 2^k - 1      2 to 8             yes
``dorefa``    :math:`2 c / (2^k - 1) - 1`, n = 2^k        2 to 8             no
============  ==========================================  =================  ======================
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.errors import QuantizationError


@dataclass(frozen=True)
class LevelTable:
    """Levels of every width, by a name that files record.

    Attributes:
        name: of the table.
        of_bits: width k to its levels in rising order, float32 (n,), n at most 2^k.
        widths: the k that it has.
    """

    name: str
    of_bits: Callable[[int], np.ndarray]
    widths: tuple[int, ...]

    def levels(self, bits: int) -> np.ndarray:
        """The levels of a width in rising order, float32 (n,).

        Example:
            >>> level_table("signed").levels(2)
            array([-1.,  0.,  1.], dtype=float32)

        Raises:
            QuantizationError: a width that the table does not have.
        """
        if bits not in self.widths:
            known = ", ".join(map(str, self.widths))
            raise QuantizationError(f"levels {self.name}: expected a width of {known} bits, found {bits}")
        return self.of_bits(bits)


_TABLES: dict[str, LevelTable] = {}


def register(table: LevelTable) -> LevelTable:
    """Make a table known by its name.

    Raises:
        ValueError: another one has this name.
    """
    if table.name in _TABLES:
        raise ValueError(f"levels {table.name} are registered already")
    _TABLES[table.name] = table
    return table


def level_table(name: str) -> LevelTable:
    """The table of a name.

    Raises:
        QuantizationError: no table is registered by it.
    """
    if name not in _TABLES:
        raise QuantizationError(f"levels: expected a table of {', '.join(sorted(_TABLES))}, found {name!r}")
    return _TABLES[name]


def _unsigned(bits: int) -> np.ndarray:
    return np.arange(2**bits, dtype=np.float32)


def _signed(bits: int) -> np.ndarray:
    half = 2 ** (bits - 1) - 1
    return np.arange(-half, half + 1, dtype=np.float32)


def _dorefa(bits: int) -> np.ndarray:
    # In float32, operation by operation as the quantizer computes: a weight is bit for bit scale * level.
    return np.float32(2) * (np.arange(2**bits, dtype=np.float32) / np.float32(2**bits - 1)) - np.float32(1)


UNSIGNED = register(LevelTable("unsigned", _unsigned, tuple(range(1, 9))))
SIGNED = register(LevelTable("signed", _signed, tuple(range(2, 9))))
DOREFA = register(LevelTable("dorefa", _dorefa, tuple(range(2, 9))))
