"""A description of the engine's computed in float64, step by step from given inputs, or as a whole network.

Written from the equations of :mod:`common.engine.description` alone: the sums of integers are exact, and all else is
float64. Each step also says how far float32 may be from it: what rounding a, b, the product, the sums and a residual
can come to.
"""

from dataclasses import dataclass, field

import numpy as np

from common.engine.description import Choose, DepthwiseConv, FloatConv, Image, IntegerConv, Pool, Take

HALF_ULP = 2.0**-24  # relative error of a rounding to float32


@dataclass
class Step64:
    """What a step computes of some images.

    Attributes:
        floats: by the name of the tensor, (N, H, W, F).
        error: most that float32 differs from them, by name.
        before: values before they are rounded to codes; none of a step without codes.
        codes: their codes; of 16 bits all upper bytes, then all lower ones.
    """

    floats: dict[str, np.ndarray] = field(default_factory=dict)
    error: dict[str, np.ndarray] = field(default_factory=dict)
    before: np.ndarray | None = None
    codes: np.ndarray | None = None


class Float64Network:
    """A description's steps in float64.

    Args:
        description: of the network.
    """

    def __init__(self, description):
        self.description = description

    def step(self, step, tensors, images=None) -> Step64:
        """A step from its inputs; ``tensors`` by name (N, H, W, C): codes of 8 bits, or floats."""
        if isinstance(step, Image):
            return Step64({step.store: images.transpose(0, 2, 3, 1).astype(np.float64)}, {step.store: 0.0})
        if isinstance(step, Choose):
            x = tensors[step.source]
            chosen = x.reshape(*x.shape[:3], -1, step.candidates).argmax(-1)
            return Step64({step.store: chosen.astype(np.float64)}, {step.store: 0.0})
        v, error = _OF[type(step)](step, tensors[step.source].astype(np.float64))
        return _finish(step, v, error, tensors, self.choices(tensors))

    def choices(self, tensors):
        """Candidates' numbers (N, L) where images have chosen."""
        stores = [step.store for step in self.description.steps if isinstance(step, Choose)]
        return tensors[stores[0]][:, 0, 0].astype(int) if stores and stores[0] in tensors else None

    def chosen(self, step, tensors):
        """Which images a step is for, bool (N,)."""
        decision = self.grids().get(getattr(step, "source", ""))
        count = len(next(iter(tensors.values()))) if tensors else 0
        if not isinstance(step, IntegerConv) or decision is None:
            return np.ones(count, bool)
        return self.choices(tensors)[:, decision] == step.candidate

    def grids(self):
        """The decision of each tensor of codes that has one."""
        tails = [step.tail for step in self.description.steps if not isinstance(step, Image)]
        return {tail.codes: tail.grid.decision for tail in tails if tail.codes and tail.grid.decision is not None}

    def logits(self, images) -> np.ndarray:
        """The whole network in float64: (N, classes)."""
        tensors: dict[str, np.ndarray] = {}
        for step in self.description.steps:
            rows = self.chosen(step, tensors)
            if isinstance(step, Image) or rows.all():
                done = self.step(step, tensors, images)
                tensors |= done.floats | ({step.tail.codes: done.codes} if done.codes is not None else {})
            elif rows.any():
                done = self.step(step, {name: value[rows] for name, value in tensors.items()})
                made = done.floats | ({step.tail.codes: done.codes} if done.codes is not None else {})
                for name, value in made.items():
                    tensors.setdefault(name, np.zeros((len(rows), *value.shape[1:]), value.dtype))[rows] = value
        return tensors[self.description.logits][:, 0, 0]


def tie_distance(before):
    """How far values are from a tie of rounding, relative to those above 1."""
    return np.abs(before - np.floor(before) - 0.5) / np.maximum(1, np.abs(before))


def _finish(step, v, error, tensors, choices):
    tail, done = step.tail, Step64()
    if tail.scale is not None:
        a, b = (np.asarray(part, np.float64) for part in tail.scale)
        product, v = a * v, a * v + b
        error = np.abs(a) * error + HALF_ULP * (2 * np.abs(product) + np.abs(b) + np.abs(v))
    if tail.residual:
        v = v + tensors[tail.residual]
        error = error + HALF_ULP * np.abs(v)
    if tail.relu:
        v = np.maximum(v, 0)
    if tail.relu6:
        v = np.minimum(v, 6)
    _store(done, tail.store, v, error)
    if tail.norm is not None:
        g, h = (np.asarray(part, np.float64) for part in tail.norm)
        product, v = g * v, g * v + h
        error = np.abs(g) * error + HALF_ULP * (2 * np.abs(product) + np.abs(h) + np.abs(v))
    _store(done, tail.active, np.maximum(v, 0), error)
    if tail.codes:
        parts = (tail.grid.steps, tail.grid.top, tail.grid.multiplier)
        if tail.grid.decision is not None:
            parts = (part[choices[:, tail.grid.decision]][:, None, None] for part in parts)
        steps, top, multiplier = parts
        done.before = np.clip(v * steps.astype(np.float64), 0, top)
        codes = np.rint(done.before).astype(np.int64) * multiplier
        done.codes = np.concatenate([codes // 256, codes % 256], -1) if tail.grid.planes else codes
    return done


def _store(done, name, v, error):
    if name:
        done.floats[name], done.error[name] = v, np.broadcast_to(error, v.shape) * (1 + 1e-6)


def sums_of(step, codes):
    """The sums of an integer convolution before its offset, and the sums of their terms' sizes, exact."""
    weight, codes = step.weight.astype(np.float64), codes.astype(np.float64)
    if isinstance(step, DepthwiseConv):
        return tuple(np.einsum("nhwcij,cij->nhwc", _columns(step, codes), of[:, 0]) for of in (weight, np.abs(weight)))
    if step.differences:
        sums = np.stack([_differences(step, codes, kernel) for kernel in weight], -1)
        return sums, sums
    weight = weight * (1 if step.multiplier is None else step.multiplier[:, None, None])
    return _convolved(step, codes, weight), _convolved(step, codes, np.abs(weight))


def _integer_conv(step, x):
    sums = sums_of(step, x)[0] - (0 if step.offset is None else step.offset)
    return sums, np.where(np.abs(sums) > 2**24, HALF_ULP * np.abs(sums), 0)


def _depthwise_conv(step, x):
    return sums_of(step, x)[0], 0.0


def _float_conv(step, x):
    weight = step.weight.astype(np.float64)
    size = _convolved(step, np.abs(x), np.abs(weight))
    return _convolved(step, x, weight), HALF_ULP * (weight[0].size + 1) * size


def _columns(step, x):
    """(N, OH, OW, C, KH, KW), as a view."""
    p, kernel = step.padding, step.weight.shape[2:]
    x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(x, kernel, (1, 2))[:, :: step.stride, :: step.stride]


def _convolved(step, x, weight):
    columns = _columns(step, x)
    return columns.reshape(*columns.shape[:3], -1) @ weight.reshape(len(weight), -1).T


def _differences(step, x, kernel):
    return np.abs(_columns(step, x) - kernel).sum((3, 4, 5))


def _take(step, x):
    filters = step.filters or x.shape[3]
    v = np.zeros((*x[:, :: step.stride, :: step.stride].shape[:3], filters))
    v[..., step.before : step.before + x.shape[3]] = x[:, :: step.stride, :: step.stride]
    return v, 0.0


def _pool(step, x):
    p, low = step.padding, -np.inf if step.maximum else 0
    x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=low)
    windows = np.lib.stride_tricks.sliding_window_view(x, step.kernel, (1, 2))[:, :: step.stride, :: step.stride]
    if step.maximum:
        return windows.max((-2, -1)), 0.0
    count = step.kernel[0] * step.kernel[1]
    return windows.mean((-2, -1)), HALF_ULP * (count + 1) * np.abs(windows).mean((-2, -1))


_OF = {IntegerConv: _integer_conv, DepthwiseConv: _depthwise_conv, FloatConv: _float_conv, Take: _take, Pool: _pool}
