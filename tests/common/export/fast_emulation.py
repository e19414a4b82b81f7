"""What the fast form computes, in float64 from the description alone: no node, no runtime."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from common.engine.description import DepthwiseConv, FloatConv, Image, IntegerConv, Pool, Take


def column(values):
    return np.asarray(values, np.float64).reshape(-1, 1, 1)


def windows(x, kernel, stride, padding, fill=0.0):
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x, sides, constant_values=fill)
    return sliding_window_view(padded, kernel, (2, 3))[:, :, ::stride, ::stride]


def convolution(x, weight, stride, padding, each=False):
    sums = "nchwij,coij->nchw" if each else "nchwij,fcij->nfhw"
    return np.einsum(sums, windows(x, weight.shape[2:], stride, padding), weight.astype(np.float64), optimize=True)


def whole(values, steps):
    """The nearest whole numbers of steps; where these are 0, the values."""
    steps = np.where(steps == 0, 1e-9, np.abs(steps))
    return np.rint(values / steps) * steps


class Emulation:
    """The tensors of a description, by name.

    Args:
        description: of weights from -127 to 127.
        ranges: of the values that are put on 256 levels, by the names of the fast form.
        images: (N, 3, S, S).
    """

    def __init__(self, description, ranges, images):
        self.ranges, steps = ranges, description.steps[1:]
        self.last = description.logits
        self.read = {step.tail.residual for step in steps}
        self.read |= {step.source for step in steps if not isinstance(step, FloatConv) or step.tail.store != self.last}
        self.values, self.scales = {}, {}
        for self.number, step in enumerate(description.steps):
            if isinstance(step, Image):
                self.values[step.store] = images.astype(np.float64)
            else:
                self.finish(step, *self.value(step))
        self.logits = self.values[description.logits].reshape(len(images), -1)

    def value(self, step):
        """The value, and the scale of its levels if it is on some."""
        x = self.values[step.source]
        if isinstance(step, Take):
            x = x[:, :, :: step.stride, :: step.stride]
            if step.filters is not None:
                after = step.filters - step.before - x.shape[1]
                x = np.pad(x, ((0, 0), (step.before, after), (0, 0), (0, 0)))
            return x, self.scales.get(step.source)
        if isinstance(step, Pool):
            if step.maximum:
                taken = windows(x, step.kernel, step.stride, step.padding, -np.inf)
                return taken.max((4, 5)), self.scales.get(step.source)
            return windows(x, step.kernel, step.stride, step.padding).mean((4, 5)), None
        scale, offset = (part.astype(np.float64) for part in step.tail.scale)
        weight, room = step.weight.astype(np.float64) * scale.reshape(-1, 1, 1, 1), self.room(step.tail, False)
        if not isinstance(step, FloatConv):
            offset = whole(offset + room, scale) - room
        elif step.tail.store != self.last:
            x, unit = self.on_grid(x, self.scales.get(step.source), "inputs")
            steps = np.abs(weight).max((1, 2, 3)) / 127
            weight = np.rint(weight / steps.reshape(-1, 1, 1, 1)) * steps.reshape(-1, 1, 1, 1)
            offset = whole(offset + room, steps * unit) - room
        sums = convolution(x, weight, step.stride, step.padding, isinstance(step, DepthwiseConv))
        return sums + column(offset), None

    def finish(self, step, v, scale):
        tail = step.tail
        if tail.residual:
            v = (self.on_grid(v, scale, "sums")[0] if isinstance(step, IntegerConv | FloatConv) else v) + self.values[
                tail.residual
            ]
            scale = None
        if tail.relu:
            v, scale = np.clip(v, 0, 6 if tail.relu6 else None), None
        if tail.store:
            v, scale = self.store(v, scale, tail.store)
        if tail.norm:
            v, scale = self.on_grid(v, scale, "before the norm")
            room = self.room(tail, True)
            gain, offset = (part.astype(np.float64) for part in tail.norm)
            v, scale = v * column(gain) + column(whole(offset + room, gain * scale / 127) - room), None
        if tail.active:
            v, scale = self.store(np.maximum(v, 0), scale, tail.active)
        if tail.codes:
            self.values[tail.codes] = self.codes(v, scale, tail)

    def codes(self, v, scale, tail):
        grid = tail.grid
        steps, top, multiplier = (
            np.broadcast_to(part, v.shape[1]).astype(np.float64) for part in (grid.steps, grid.top, grid.multiplier)
        )
        if not mixed(grid):
            return np.clip(np.rint(v * column(steps)), 0, column(top))
        if not alone(tail):
            v, scale = self.on_grid(v, scale, "before the codes")
            v = v * column(steps) + column(whole(255 - top, steps * scale / 127) - (255 - top))
        return column(multiplier) * np.clip(np.rint(v), 0, column(top))

    @staticmethod
    def room(tail, after_norm):
        if not tail.codes or not mixed(tail.grid) or not alone(tail) or bool(tail.norm) != after_norm:
            return 0
        return 255.0 - tail.grid.top

    def store(self, v, scale, name):
        if name in self.read:
            v, scale = self.on_grid(v, scale, name)
        self.values[name], self.scales[name] = v, scale
        return v, scale

    def on_grid(self, v, scale, what):
        if scale is not None:
            return v, scale
        low, high = self.ranges[f"{self.number} {what}"]
        low, high = min(low, 0), max(high, 0)
        step = float(np.float32((high - low) / 255))
        zero = round(-low / step)
        return (np.clip(np.rint(v / step) + zero, 0, 255) - zero) * step, step


def mixed(grid):
    return len({*grid.top.tolist()}) > 1


def alone(tail):
    """Whether codes are all that becomes of the sums, or of the norm of them."""
    return not tail.active if tail.norm else bool(tail.scale) and not (tail.residual or tail.relu or tail.store)
