r"""Integer layers as the few tensors of a packed file, and back: every code takes as many bits as it has.

=====================  ==============================================================================================
tensor                 holds, layer by layer; of each layer its weights, then its bias
=====================  ==============================================================================================
``codes_1`` ... ``_8``  codes of the rows of that many bits, packed; of joint candidates the numbers of their cells
``cells``              of a layer of joint candidates the number of cells less 1, then the codes of each cell
``bits``               bits of weights (one of all or one of each row), then of inputs, packed in 4 bits
``scales``             of weights, float32: one of all, or one of each row that has bits
``clips``              of inputs, float32
``layout``             numbers below 16, packed in 4 bits: of a layer the number of weights (8 more where they are
                       joint candidates, see :mod:`common.quant.joint_codes`), of grids, and whether it has a
                       quantized bias; of a weight or bias its level table, whether each row has bits of its own,
                       whether each row has a scale of its own; of a grid whether each channel has bits of its own,
                       and whether it is signed
=====================  ==============================================================================================

The names of the level tables are metadata (``levels``); names and shapes of the layers are the network's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import QuantizationError
from common.quant.integer_weight import ActivationGrid, IntegerLayer, IntegerWeight, one
from common.quant.joint_codes import join, split, width
from common.quant.level_table import LevelTable, level_table

_NIBBLE = 4  # bits of a number of bits, and of a number of the layout
_JOINT = 8
_MOST_BITS = 8


@dataclass(frozen=True)
class LayerShape:
    """What a layer's integers must fit.

    Attributes:
        weight: (F, ...).
        channels: of the input that may have bits of their own.
    """

    weight: tuple[int, ...]
    channels: int = 1


@dataclass(frozen=True, eq=False)
class PackedLayers:
    """Layers as tensors.

    Attributes:
        tensors: as in the module's table.
        widths: bits of a code in each tensor that is stored packed.
        levels: names of the level tables, in the order of their numbers.
    """

    tensors: dict[str, np.ndarray]
    widths: dict[str, int]
    levels: list[str]


def pack_layers(layers: Mapping[str, IntegerLayer]) -> PackedLayers:
    """The tensors of a packed file; :func:`unpack_layers` gives the same integers and scales back."""
    writer = _Writer()
    for layer in layers.values():
        writer.layer(layer)
    return writer.finish()


def unpack_layers(
    tensors: dict[str, np.ndarray], levels: Sequence[str], shapes: Mapping[str, LayerShape]
) -> dict[str, IntegerLayer]:
    """The layers of a packed file by name.

    Args:
        tensors: of :func:`pack_layers` among others, which stay; the former are taken out.
        levels: names of the level tables.
        shapes: of the layers, in the order of packing.

    Raises:
        QuantizationError: the tensors do not fit these layers.
    """
    tables = [level_table(name) for name in levels]
    reader = _Reader(tensors, tables)
    layers = {name: reader.layer(shape) for name, shape in shapes.items()}
    reader.finish()
    return layers


class _Writer:
    def __init__(self):
        self.codes: dict[int, list[np.ndarray]] = {}
        self.cells: list[np.ndarray] = []
        self.bits: list[np.ndarray] = []
        self.scales: list[np.ndarray] = []
        self.clips: list[np.ndarray] = []
        self.layout: list[int] = []
        self.levels: list[str] = []

    def layer(self, layer: IntegerLayer) -> None:
        joint = join(layer.weights)
        self.layout += [len(layer.weights) + (_JOINT if joint else 0), len(layer.grids), int(layer.bias is not None)]
        if joint:
            cells, numbers = joint
            self.cells += [one(len(cells) - 1, np.uint8), cells.ravel()]
            self.codes.setdefault(width(len(cells)), []).append(numbers.ravel())
        for weight in layer.weights:
            self._weight(weight, codes=joint is None)
        if layer.bias is not None:
            self._weight(layer.bias)
        for grid in layer.grids:
            self.layout += [int(len(grid.bits) > 1), int(grid.signed)]
            self.bits.append(grid.bits)
            self.clips.append(grid.clip)

    def _weight(self, weight: IntegerWeight, codes: bool = True) -> None:
        if weight.levels.name not in self.levels:
            self.levels.append(weight.levels.name)
        rows = weight.codes.reshape(len(weight.codes), -1)
        bits = np.broadcast_to(weight.bits, len(rows))
        self.layout += [self.levels.index(weight.levels.name), int(len(weight.bits) > 1), int(len(weight.scale) > 1)]
        for own in np.unique(bits[bits > 0]).tolist() if codes else ():
            self.codes.setdefault(own, []).append(rows[bits == own].ravel())
        self.bits.append(weight.bits)
        self.scales.append(weight.scale[bits > 0] if len(weight.scale) > 1 else weight.scale)

    def finish(self) -> PackedLayers:
        codes = {f"codes_{bits}": np.concatenate(parts) for bits, parts in sorted(self.codes.items())}
        widths = {name: int(name.removeprefix("codes_")) for name in codes}
        small = {"bits": np.concatenate(self.bits), "layout": np.array(self.layout, np.uint8)}
        floats = {"scales": np.concatenate(self.scales)}
        if self.clips:
            floats["clips"] = np.concatenate(self.clips)
        filled = {name: values for name, values in floats.items() if values.size}
        if self.cells:
            filled["cells"] = np.concatenate(self.cells)
        return PackedLayers({**codes, **small, **filled}, {**widths, **dict.fromkeys(small, _NIBBLE)}, self.levels)


class _Reader:
    def __init__(self, tensors: dict[str, np.ndarray], tables: Sequence[LevelTable]):
        self.tables = tables
        self.codes = {bits: _Stream(tensors, f"codes_{bits}", np.uint8) for bits in range(1, _MOST_BITS + 1)}
        self.cells, self.bits, self.layout = (_Stream(tensors, name, np.uint8) for name in ("cells", "bits", "layout"))
        self.scales, self.clips = (_Stream(tensors, name, np.float32) for name in ("scales", "clips"))

    def layer(self, shape: LayerShape) -> IntegerLayer:
        weights, grids = self.layout.take(2).tolist()
        (biased,) = self._flags(1)
        codes = self._joint(weights - _JOINT, shape.weight) if weights >= _JOINT else [None] * weights
        made = tuple(self._weight(shape.weight, own) for own in codes)
        bias = self._weight(shape.weight[:1]) if biased else None
        return IntegerLayer(made, tuple(self._grid(shape.channels) for _ in range(grids)), bias)

    def _joint(self, candidates: int, shape: tuple[int, ...]) -> list[np.ndarray]:
        """The codes of each candidate."""
        count = int(self.cells.take(1)[0]) + 1
        cells = self.cells.take(count * candidates).reshape(count, candidates)
        return split(cells, self.codes[width(count)].take(math.prod(shape)).reshape(shape))

    def _weight(self, shape: tuple[int, ...], codes: np.ndarray | None = None) -> IntegerWeight:
        (table,) = self.layout.take(1).tolist()
        own_bits, own_scales = self._flags(2)
        if table >= len(self.tables):
            raise QuantizationError(f"level table {table} of {len(self.tables)}")
        bits = self.bits.take(shape[0] if own_bits else 1)
        if bits.max() > _MOST_BITS:
            raise QuantizationError(f"{bits.max()} bits of a weight")
        of_rows = np.broadcast_to(bits, shape[0])
        codes = self._codes(of_rows, shape) if codes is None else codes
        return IntegerWeight(codes, bits, self._scale(of_rows, own_scales), self.tables[table])

    def _codes(self, bits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        codes = np.zeros(shape, np.uint8)
        size = codes[0].size
        for own in np.unique(bits[bits > 0]).tolist():
            chosen = bits == own
            codes[chosen] = self.codes[own].take(int(chosen.sum()) * size).reshape(-1, *shape[1:])
        return codes

    def _scale(self, bits: np.ndarray, of_rows: bool) -> np.ndarray:
        if not of_rows:
            return self.scales.take(1)
        scale = np.zeros(len(bits), np.float32)
        scale[bits > 0] = self.scales.take(int((bits > 0).sum()))
        return scale

    def _grid(self, channels: int) -> ActivationGrid:
        own_bits, signed = self._flags(2)
        bits = self.bits.take(channels if own_bits else 1)
        if bits.max() > _MOST_BITS:
            raise QuantizationError(f"{bits.max()} bits of an activation")
        clip = self.clips.take(1)
        if not 0 < clip[0] < np.inf:
            raise QuantizationError(f"a clip of {clip[0]} of an activation")
        return ActivationGrid(bits, clip, signed)

    def _flags(self, count: int) -> list[bool]:
        values = self.layout.take(count)
        if values.max() > 1:
            raise QuantizationError(f"{values.max()} in the layout where 0 or 1 belongs")
        return values.astype(bool).tolist()

    def finish(self) -> None:
        for stream in (*self.codes.values(), self.cells, self.bits, self.layout, self.scales, self.clips):
            stream.finish()


class _Stream:
    """Hands out the elements of a tensor in order; a tensor that is not there has none."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str, kind: type):
        self.name, self.place = name, 0
        self.values = tensors.pop(name, np.zeros(0, kind))
        if self.values.dtype != kind or self.values.ndim != 1:
            raise QuantizationError(f"{name}: {self.values.dtype} of shape {self.values.shape}")

    def take(self, count: int) -> np.ndarray:
        part = self.values[self.place : self.place + count]
        if len(part) != count:
            raise QuantizationError(f"{self.name}: too few values")
        self.place += count
        return part

    def finish(self) -> None:
        if self.place != len(self.values):
            raise QuantizationError(f"{self.name}: values left over")
