"""Writes a network's description operation by operation; what can be a part of an earlier step's tail becomes one.

A value is what a step has computed at a place of its tail. Convolution, BatchNorm, addition, ReLU and quantization one
after the other are one step; BatchNorm is folded into the scale of sums, and codes per unit into the scale before them
where nothing reads the float values between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.engine.centring import centred
from common.engine.description import (
    NO_TAP,
    Choose,
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
from common.errors import QuantizationError

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(eq=False)
class _Draft:
    """A step whose tail may still grow."""

    kind: type
    number: int
    fields: dict[str, Any]
    tail: dict[str, Any] = field(default_factory=dict)
    changes: int = 0
    candidates: tuple[Pair, ...] = ()  # integers and scales


@dataclass(frozen=True, eq=False)
class Value:
    """A float value of a step: at ``store``, behind ``norm`` or at ``active`` of its tail.

    An operation that becomes a part of the step takes the value's place, unless :meth:`Builder.name` was asked for its
    tensor before; of a value that is gone, ``changes`` is less than its step's.
    """

    draft: _Draft
    place: str = "store"
    changes: int = 0


@dataclass(frozen=True, eq=False)
class Codes:
    """A tensor of codes.

    Attributes:
        name: of the tensor.
        grid: of the codes.
    """

    name: str
    grid: Grid


class Builder:
    """Collects the steps of a network.

    Args:
        shape: (C, H, W) of its images.
    """

    def __init__(self, shape: tuple[int, int, int]):
        self.drafts: list[_Draft] = []
        self.chosen = 0  # number of the step after which choices are known
        self.image = self._step(Image, shape=shape)

    def float_conv(self, x: Value, weight: np.ndarray, stride: int = 1, padding: int = 0) -> Value:
        """Convolution in float32 with weights (F, C, KH, KW)."""
        return self._step(FloatConv, source=self.name(x), weight=weight, stride=stride, padding=padding)

    def integer_conv(
        self,
        codes: Codes,
        weights: Sequence[np.ndarray],
        scales: Sequence[np.ndarray],
        stride: int = 1,
        padding: int = 0,
        multiplier: np.ndarray | None = None,
        differences: bool = False,
    ) -> Value:
        """Convolution of codes with integers (F, C, KH, KW) times a scale (F,), of each candidate that images have.

        With ``differences`` sums of absolute differences, see :class:`~common.engine.description.IntegerConv`.
        """
        options = {"stride": stride, "padding": padding, "multiplier": multiplier, "differences": differences}
        v = self._step(IntegerConv, source=codes.name, **options)
        v.draft.candidates = tuple(zip(weights, scales))
        return self._changed(v, scale=(np.ones(len(scales[0])), np.zeros(len(scales[0]))))

    def depthwise_conv(
        self, codes: Codes, weight: np.ndarray, scale: np.ndarray, stride: int = 1, padding: int = 0
    ) -> Value:
        """Convolution of each channel of codes by itself with integers (C, 1, KH, KW) times a scale (C,)."""
        v = self._step(DepthwiseConv, source=codes.name, weight=weight, stride=stride, padding=padding)
        return self._changed(v, scale=(scale, np.zeros(len(scale))))

    def take(self, x: Value, stride: int = 1, before: int = 0, filters: int | None = None) -> Value:
        """Every stride-th pixel, with channels of zeros."""
        return self._step(Take, source=self.name(x), stride=stride, before=before, filters=filters)

    def pool(
        self, x: Value, kernel: tuple[int, int], stride: int = 1, padding: int = 0, maximum: bool = False
    ) -> Value:
        """Average or maximum of windows."""
        return self._step(Pool, source=self.name(x), kernel=kernel, stride=stride, padding=padding, maximum=maximum)

    def choose(self, scores: Value, candidates: int) -> None:
        """Let images choose by the scores of the candidates of the first decision, the second, ..."""
        self.chosen = len(self.drafts)
        self._step(Choose, source=self.name(scores), store="choices", candidates=candidates)

    def affine(self, v: Value, scale: np.ndarray, offset: np.ndarray) -> Value:
        """V scale + offset of each channel, float64 (C,)."""
        tail = self._tail(v)
        if v.place == "store" and not set(tail) - {"scale"} and v.draft.kind is not Image:
            a, b = tail.get("scale", (np.ones(len(scale)), np.zeros(len(scale))))
            return self._changed(v, scale=(a * scale, b * scale + offset))
        if v.place == "store" and not set(tail) & {"norm", "codes"} and v.draft.kind is not Image:
            tail["norm"] = (scale, offset)
            return Value(v.draft, "norm")
        return self.affine(self.take(v), scale, offset)

    def add(self, x: Value, y: Value) -> Value:
        """The sum of two values of the same shape."""
        later, earlier = (x, y) if x.draft.number > y.draft.number else (y, x)
        if later.place != "store" or set(self._tail(later)) - {"scale"}:
            later = self.take(later)
        return self._changed(later, residual=self.name(earlier))

    def relu(self, v: Value) -> Value:
        """max(v, 0)."""
        tail = self._tail(v)
        if v.place != "store":
            return Value(v.draft, "active")
        if set(tail) & {"store", "norm", "codes"} or v.draft.kind is Image:
            v = self.take(v)
        return self._changed(v, relu=True)

    def relu6(self, v: Value) -> Value:
        """min(max(v, 0), 6), of a value that no BatchNorm has followed."""
        v = self.relu(v)
        if v.place != "store":
            raise refuse("a ReLU6 behind a norm behind a sum is not among its instructions")
        v.draft.tail["relu6"] = True
        return v

    def codes(self, v: Value, grid: Grid, stride: int = 1) -> Codes:
        """Codes of v on a grid, of every stride-th pixel."""
        tail = self._tail(v)
        at_end = ("norm" in tail) == (v.place != "store")
        if stride == 1 and at_end and tail.get("grid") is grid:
            return Codes(tail["codes"], grid)
        at_end = at_end and "codes" not in tail
        too_early = grid.decision is not None and v.draft.number < self.chosen
        if stride != 1 or not at_end or too_early or v.draft.kind is Image:
            v = self.take(v, stride)
        v.draft.tail |= {"grid": grid, "codes": f"codes {v.draft.number}"}
        return Codes(v.draft.tail["codes"], grid)

    def name(self, v: Value) -> str:
        """The float tensor of a value, which its step writes from now on."""
        if v.draft.kind is Image:
            return v.draft.fields.setdefault("store", "image")
        if v.place == "norm":
            raise refuse("a BatchNorm behind a sum that no ReLU follows is not among its instructions")
        return self._tail(v).setdefault(v.place, f"{'active ' if v.place == 'active' else ''}{v.draft.number}")

    def finish(self, logits: Value) -> Description:
        """The network whose result is a value."""
        name = self.name(logits)
        return Description(tuple(step for draft in self.drafts for step in _finished(draft)), name)

    @staticmethod
    def _tail(v: Value) -> dict[str, Any]:
        if v.place == "store" and v.changes != v.draft.changes:
            raise ValueError("a value was used after another had taken its place; ask for its name before")
        return v.draft.tail

    @staticmethod
    def _changed(v: Value, **parts: Any) -> Value:
        v.draft.tail |= parts
        v.draft.changes += 1
        return Value(v.draft, v.place, v.draft.changes)

    def _step(self, kind: type, **fields: Any) -> Value:
        self.drafts.append(_Draft(kind, len(self.drafts), fields))
        return Value(self.drafts[-1])


def _finished(draft: _Draft) -> Iterator[Step]:
    if draft.kind in (Image, Choose):
        yield draft.kind(**draft.fields)
        return
    if not draft.candidates:
        yield draft.kind(**draft.fields, tail=_fold_steps(Tail(**draft.tail)))
    for candidate, (weight, factor) in enumerate(draft.candidates):
        a, b = draft.tail["scale"]
        a, offset = factor * a, None
        if draft.fields["differences"]:
            offset, b = centred(a, b, np.count_nonzero(weight[0] != NO_TAP))
        tail = _fold_steps(Tail(**draft.tail | {"scale": (a, b)}))
        yield IntegerConv(**draft.fields, weight=weight, tail=tail, candidate=candidate, offset=offset)


def _fold_steps(tail: Tail) -> Tail:
    """Codes per unit multiplied into the factors before them; a ReLU in between is what codes do anyway."""
    if tail.grid is not None and not (tail.store or tail.norm) and _below_six(tail):
        tail = replace(tail, relu=False, relu6=False)
    if tail.grid is None or tail.grid.decision is not None or tail.relu6:
        return tail
    steps, grid = tail.grid.steps.astype(np.float64), replace(tail.grid, steps=np.ones(1, np.float32))
    if tail.norm and not tail.active:
        return replace(tail, norm=tuple(part * steps for part in tail.norm), grid=grid)
    if tail.scale and not (tail.residual or tail.store or tail.norm or tail.active):
        return replace(tail, scale=tuple(part * steps for part in tail.scale), grid=grid)
    return tail


def _below_six(tail: Tail) -> bool:
    """Whether a ReLU6 changes no code; true of other values."""
    return not tail.relu6 or bool((tail.grid.top <= 6 * tail.grid.steps).all())


def refuse(what: str) -> QuantizationError:
    """Why a network cannot run on integers, in one line."""
    return QuantizationError(f"integer engine: {what}")
