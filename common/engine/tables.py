"""Weights of a layer as indices into tables of their values: what makes a runtime file as small as packed weights.

Where widths differ between filters, each width has a table of its own; where weights are two limbs, one index stands
for both. Filters that only fill a group are not written. FORMAT.md has the bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.engine.encoding import bits, unsigned
from common.engine.layout import GROUP, padded

_MOST_VALUES = 2**16  # of a table


@dataclass(frozen=True)
class Kernel:
    """Where the weights of a convolution are in an array, as [group][step][16 filters][taps].

    Attributes:
        start: of its first element.
        filters: that are real; those behind them are zeros.
        steps: of all blocks.
        taps: of a step.
    """

    start: int
    filters: int
    steps: int
    taps: int

    @property
    def size(self) -> int:
        """Elements."""
        return padded(self.filters) * self.steps * self.taps


@dataclass(frozen=True, eq=False)
class _Coded:
    """One way to write a kernel.

    Attributes:
        keys: (groups, steps of a stream, 16, taps): the values of all streams as one number.
        streams: 2 where each step has an upper and a lower limb.
        table_of: number of each filter's table.
        tables: sorted keys; empty: keys are written as they are.
        element: bytes of a value.
    """

    keys: np.ndarray
    streams: int
    table_of: np.ndarray
    tables: list[np.ndarray]
    element: int

    @property
    def widths(self) -> np.ndarray:
        """Bits of each filter's indices."""
        raw = 8 * self.element
        return np.array([(len(t) - 1).bit_length() if len(t) else raw for t in self.tables])[self.table_of]

    @property
    def cost(self) -> int:
        """Bytes, about."""
        held = sum(len(table) for table in self.tables) * self.streams * self.element
        _, steps, _, taps = self.keys.shape
        return held + self.table_of.size * (len(self.tables) > 1) + int(self.widths.sum()) * steps * taps // 8

    def content(self) -> bytes:
        """The bytes of the format."""
        _, steps, _, taps = self.keys.shape
        numbers = (len(self.table_of), taps, steps, self.streams, len(self.tables))
        if len(self.tables) > 1:
            numbers = (*numbers, *self.table_of.tolist())
        parts = [unsigned(number) for number in numbers]
        for table in self.tables:
            parts += [unsigned(len(table)), _entries(table, self.streams, self.element)]
        return b"".join(parts) + self._indices()

    def _indices(self) -> bytes:
        """Of real filters alone, in their order in memory."""
        filters, indices = len(self.table_of), np.zeros(self.keys.shape, np.int64)
        table_of = _by_group(self.table_of)
        for number, table in enumerate(self.tables):
            chosen = np.broadcast_to(table_of == number, self.keys.shape)
            keys = self.keys[chosen]
            indices[chosen] = np.searchsorted(table, keys) if len(table) else keys
        real = np.broadcast_to(_by_group(np.ones(filters, bool)), self.keys.shape)
        widths = np.broadcast_to(_by_group(self.widths), self.keys.shape)
        return bits(indices[real], widths[real])


def coded(array: np.ndarray, kernel: Kernel) -> bytes:
    """The weights of a kernel in the fewest bytes of all ways that are tried."""
    values = array[kernel.start : kernel.start + kernel.size]
    values = values.reshape(padded(kernel.filters) // GROUP, kernel.steps, GROUP, kernel.taps)
    return min(_ways(values, kernel.filters), key=lambda way: way.cost).content()


def _ways(values: np.ndarray, filters: int) -> Iterator[_Coded]:
    element = values.itemsize
    for streams in (1, 2) if element == 1 and values.shape[1] % 2 == 0 else (1,):
        keys = _keys(values, streams)
        by_filter = keys.transpose(0, 2, 1, 3).reshape(-1, keys.shape[1] * keys.shape[3])[:filters]
        sets = [np.unique(row) for row in by_filter]
        every = np.unique(np.concatenate(sets))
        one = np.zeros(filters, np.int64)
        if streams == 1:
            yield _Coded(keys, 1, one, [np.zeros(0, np.int64)], element)
        if len(every) <= _MOST_VALUES:
            yield _Coded(keys, streams, one, [every], element)
            yield _Coded(keys, streams, *_shared(sets), element)


def _keys(values: np.ndarray, streams: int) -> np.ndarray:
    """Bytes of the streams' values at the same place as one number, those of the first stream the lowest."""
    numbers = values.view(np.uint8 if values.itemsize == 1 else np.uint32).astype(np.int64)
    parts = np.split(numbers, streams, axis=1)
    return sum(part << 8 * i for i, part in enumerate(parts))


def _by_group(of_filters: np.ndarray) -> np.ndarray:
    """(groups, 1, 16, 1), zeros behind the last filter."""
    return np.pad(of_filters, (0, padded(len(of_filters)) - len(of_filters))).reshape(-1, 1, GROUP, 1)


def _shared(sets: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Tables of the filters' values; filters whose values fit a table of their width share it."""
    tables: list[tuple[int, set[int]]] = []
    table_of = np.zeros(len(sets), np.int64)
    for row in sorted(range(len(sets)), key=lambda row: -len(sets[row])):
        width, own = (len(sets[row]) - 1).bit_length(), set(sets[row].tolist())
        fits = (n for n, (of, held) in enumerate(tables) if of == width and len(held | own) <= 2**width)
        table_of[row] = next(fits, len(tables))
        if table_of[row] == len(tables):
            tables.append((width, set()))
        tables[table_of[row]][1].update(own)
    return table_of, [np.array(sorted(held), np.int64) for _, held in tables]


def _entries(table: np.ndarray, streams: int, element: int) -> bytes:
    """The entries of a table: the values of all streams, one after the other."""
    if element > 1:
        return table.astype("<u4").tobytes()
    return b"".join(key.to_bytes(streams, "little") for key in table.tolist())
