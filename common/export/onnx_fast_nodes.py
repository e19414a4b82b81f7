"""The nodes of a described network in the form that runtimes fuse: every operator between 8-bit grids.

Convolutions read codes, add int32 biases, into which BatchNorm is folded, and their sums are quantized at once: to the
codes of the next layer, exactly their levels, or, where anything else reads them, to 256 levels of their range. Float
convolutions among them take 8 bits too, but for one to the logits.
"""

from collections.abc import Mapping
from functools import singledispatchmethod

import numpy as np

from common.engine.description import (
    DepthwiseConv,
    Description,
    FloatConv,
    Grid,
    Image,
    IntegerConv,
    Pool,
    Step,
    Tail,
    Take,
)
from common.errors import ExportError
from common.export.onnx_fast_levels import LARGEST_CODE, Levels, filters_of, grid_of, quantize, rounded_filters
from common.export.onnx_graph import GraphBuilder, Symbol

Ranges = Mapping[str, tuple[float, float]]
INTEGER = IntegerConv | DepthwiseConv
_END = np.iinfo(np.int64).max


class FastNodes:
    """Adds the steps of a description to a graph.

    Args:
        description: of a network whose images share their grids.
        images: name of the graph's input.
        ranges: of the values that shortcuts and norms read, by name; None leaves these as floats, to be observed.

    Attributes:
        graph: with all nodes.
        logits: result, (N, classes).
        observed: values whose range is asked for, by name.

    Raises:
        ExportError: a step that has no such form.
    """

    def __init__(self, description: Description, images: str, ranges: Ranges | None):
        self.graph, self.ranges, self.logits_name = GraphBuilder(), ranges, description.logits
        self.integer = has_integers(description)
        self.read = _read_before_the_last(description)
        self.tensors: dict[str, Symbol | Levels] = {}
        self.observed: dict[str, Symbol] = {}
        for number, step in enumerate(description.steps):
            self.graph.place = f"{number}"
            if isinstance(step, Image):
                self.tensors[step.store] = Symbol(self.graph, images)
                self.channels = {step.store: step.shape[0]}
            else:
                self._finish(step, self.value(step))
        self.logits = self.graph.add("Flatten", self._real(self.tensors[self.logits_name]), axis=1)

    @singledispatchmethod
    def value(self, step: Step) -> Symbol | Levels:
        """The nodes of a step before its tail."""
        raise ExportError("ONNX, fast form: images that choose their layers' bits have none; take --format mindir")

    @value.register(IntegerConv)
    @value.register(DepthwiseConv)
    def _(self, step: INTEGER) -> Symbol:
        if getattr(step, "differences", False):
            raise ExportError("ONNX, fast form: sums of absolute differences have none; take --format mindir")
        if getattr(step, "multiplier", None) is not None:
            raise ExportError("ONNX, fast form: activations of 16 bits have none; take --form exact")
        source, (factor, offset) = self.tensors[step.source], step.tail.scale
        if getattr(step, "offset", None) is not None:
            offset = offset - factor * step.offset
        last = step.tail.store == self.logits_name and step.weight.shape[2:] == (1, 1)
        weight = step.weight[:, :, 0, 0] if last else step.weight
        made = filters_of(weight, factor, offset + _room(step.tail), source.scale)
        if last:  # runtimes fuse a linear layer that no QuantizeLinear follows, but no such convolution
            flat = Levels(self.graph.add("Flatten", source.codes, axis=1), source.scale)
            return self.graph.add("Gemm", flat.real(), *made.symbols(self.graph), transB=1)
        groups = len(step.weight) if isinstance(step, DepthwiseConv) else 1
        return self.graph.add("Conv", source.real(), *made.symbols(self.graph), group=groups, **_geometry(step))

    @value.register
    def _(self, step: FloatConv) -> Symbol:
        filters, x = len(step.weight), self.tensors[step.source]
        factor, offset = step.tail.scale or (np.ones(filters), np.zeros(filters))
        weight, offset = step.weight * factor.reshape(-1, 1, 1, 1), offset + _room(step.tail)
        # Between layers of codes it is one of 8 bits too: onnxruntime turns every tensor around where it is not.
        x = x if step.tail.store == self.logits_name else self._on_grid(x, "inputs")
        if isinstance(x, Levels) and step.tail.store != self.logits_name:
            made = rounded_filters(weight, offset, x.scale).symbols(self.graph)
        else:
            made = weight, offset
        return self.graph.add("Conv", self._real(x), *made, **_geometry(step))

    @value.register
    def _(self, step: Take) -> Symbol | Levels:
        x = self.tensors[step.source]
        taken, zero = (x.codes, np.uint8(x.zero)) if isinstance(x, Levels) else (x, np.float32(0))
        if step.stride > 1:
            parts = ([0, 0], [_END, _END], [2, 3], [step.stride, step.stride])
            taken = self.graph.add("Slice", taken, *(np.array(part, np.int64) for part in parts))
        if step.filters is not None:
            after = step.filters - step.before - self.channels[step.source]
            taken = self.graph.add("Pad", taken, np.array([0, step.before, 0, 0, 0, after, 0, 0], np.int64), zero)
        return Levels(taken, x.scale, x.zero) if isinstance(x, Levels) else taken

    @value.register
    def _(self, step: Pool) -> Symbol | Levels:
        x, window = self.tensors[step.source], _geometry(step) | {"kernel_shape": list(step.kernel)}
        if not step.maximum:
            return self.graph.add("AveragePool", self._real(x), count_include_pad=1, **window)
        largest = self.graph.add("MaxPool", self._real(x), **window)
        return quantize(largest, x.scale, x.zero) if isinstance(x, Levels) else largest

    def _finish(self, step: Step, v: Symbol | Levels) -> None:
        """The nodes of a step's tail."""
        tail = step.tail
        channels = len(step.weight) if hasattr(step, "weight") else self.channels[step.source]
        channels = getattr(step, "filters", None) or channels
        self.channels |= dict.fromkeys((tail.store, tail.active, tail.codes), channels)
        if tail.residual:
            v = self._on_grid(v, "sums") if isinstance(step, INTEGER | FloatConv) else v
            v = self.graph.add("Add", self._real(v), self._real(self.tensors[tail.residual]))
        if tail.relu:
            v = self.graph.add("Clip", self._real(v), 0.0, 6.0) if tail.relu6 else self._relu(v)
        if tail.store:
            v = self._stored(v, tail.store)
        if tail.norm:
            gain, offset = tail.norm
            v = self._affine(self._on_grid(v, "before the norm"), gain, offset + _room(tail, after_norm=True))
        if tail.active:
            v = self._stored(self._relu(v), tail.active)
        if tail.codes:
            self.tensors[tail.codes] = self._codes(v, tail, channels)

    def _codes(self, v: Symbol | Levels, tail: Tail, channels: int) -> Levels:
        grid = tail.grid
        if grid.planes:
            raise ExportError("ONNX, fast form: activations of 16 bits have none; take --form exact")
        if not _mixed(grid):
            return quantize(self._real(v), float(1 / grid.steps[0]), top=int(grid.top[0]))
        steps, top, multiplier = (
            np.broadcast_to(part, channels).astype(np.float64) for part in (grid.steps, grid.top, grid.multiplier)
        )
        # Codes end at 255 by themselves. Each channel's own end is brought there, and its 0 back by a second one.
        if not _alone(tail):
            v = self._affine(self._on_grid(v, "before the codes"), steps, LARGEST_CODE - top)
        ended = quantize(self._real(v), 1.0)
        return quantize(self._affine(ended, multiplier, multiplier * (top - LARGEST_CODE)), 1.0)

    def _affine(self, x: Symbol | Levels, gain: np.ndarray, offset: np.ndarray) -> Symbol:
        """X gain + offset of each channel, as a convolution of each by itself."""
        shape = (-1, 1, 1, 1)
        if not isinstance(x, Levels):
            return self.graph.add("Conv", x, gain.reshape(shape), offset, group=len(gain))
        steps = 127  # of the gain, so that the bias has finer steps than x
        unit = gain * x.scale / steps
        weight = np.full((len(gain), 1, 1, 1), steps)
        made = filters_of(weight, unit, offset, x.scale)
        return self.graph.add("Conv", x.real(), *made.symbols(self.graph), group=len(gain))

    def _relu(self, v: Symbol | Levels) -> Symbol:
        return self.graph.add("Relu", self._real(v))

    def _stored(self, v: Symbol | Levels, name: str) -> Symbol | Levels:
        v = self._on_grid(v, name) if name in self.read else v
        self.tensors[name] = v
        return v

    def _on_grid(self, v: Symbol | Levels, what: str) -> Symbol | Levels:
        """A value on 256 levels of its range; one that is on levels already, or of a float network, as it is."""
        if isinstance(v, Levels) or not self.integer:
            return v
        name = f"{self.graph.place} {what}"
        if self.ranges is None:
            self.observed[name] = v
            return v
        return quantize(v, *grid_of(*self.ranges[name]))

    @staticmethod
    def _real(v: Symbol | Levels) -> Symbol:
        return v.real() if isinstance(v, Levels) else v


def has_integers(description: Description) -> bool:
    """Whether any convolution reads codes; a network where none does is computed in floats."""
    return any(isinstance(step, INTEGER) for step in description.steps)


def _read_before_the_last(description: Description) -> set[str]:
    """Tensors that another step reads than a float convolution to the logits."""
    steps = [step for step in description.steps if not isinstance(step, Image)]
    last = [step for step in steps if isinstance(step, FloatConv) and step.tail.store == description.logits]
    return {step.source for step in steps if step not in last} | {step.tail.residual for step in steps}


def _geometry(step: IntegerConv | DepthwiseConv | FloatConv | Pool) -> dict[str, list[int]]:
    return {"strides": [step.stride] * 2, "pads": [step.padding] * 4}


def _mixed(grid: Grid) -> bool:
    """Whether channels have ends or steps of their own, or none has any."""
    return len(np.unique(grid.top)) > 1 or len(np.unique(grid.steps)) > 1 or not grid.top.any()


def _alone(tail: Tail) -> bool:
    """Whether a norm, or else the sums themselves, give codes on a grid of steps of 1 and nothing else."""
    changed = (
        tail.active if tail.norm else tail.scale is None or tail.residual or tail.relu or tail.store or tail.active
    )
    return not changed and bool((tail.grid.steps == 1).all())


def _room(tail: Tail, after_norm: bool = False) -> np.ndarray | float:
    """What sums, or a norm, must add before the codes of a mixed grid, see ``_codes``; else 0."""
    if tail.grid is None or bool(tail.norm) != after_norm or not _mixed(tail.grid) or not _alone(tail):
        return 0.0
    return (LARGEST_CODE - tail.grid.top).astype(np.float64)
