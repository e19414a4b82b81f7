"""The engine's network, the fake-quantized one and float64, layer by layer on the same codes, and image by image."""

from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
from float64_network import HALF_ULP, Float64Network, sums_of, tie_distance
from mindspore import Tensor

from common.checkpoint import network_state
from common.engine import interpreter
from common.engine.compiler import compile_network
from common.engine.description import Choose, DepthwiseConv, Image, IntegerConv
from common.engine.layout import padded
from common.engine.networks.describe import describe
from common.engine.networks.layers import Layers
from common.engine.quantized import input_of, integers_of
from common.engine.run import run
from common.quant.integer_weight import ActivationGrid
from common.runtime.context import execution_mode

TIE = 1e-5  # of the value before rounding


class Exactness:
    """A packed network beside its description in float64 and its program.

    Args:
        stored: packed network with grids.
        side: of its images in pixels.
    """

    def __init__(self, stored, side=32):
        self.stored = stored
        with _names_of_layers() as names:
            parameters = network_state.state(stored.network)
            self.description = describe(stored.metadata["network"], parameters, stored.layers, (side, side))
        self.program, self.float64 = compile_network(self.description), Float64Network(self.description)
        convs = [step for step in self.description.steps if isinstance(step, IntegerConv | DepthwiseConv)]
        counts = [len(stored.layers[name].weights) for name in names]
        self.convs = dict(zip(names, np.split(np.array(convs, object), np.cumsum(counts)[:-1])))

    def tensors(self, images):
        """All tensors that the engine computes, by name: (N, H, W, C) each; the logits are those of the library."""
        made = [interpreter.tensors(self.program, image[None]) for image in images]
        values = {}
        for i, (name, buffer) in enumerate(zip(self.program.names, self.program.buffers)):
            whole = np.concatenate([interpreter.inside(tensors[i], buffer) for tensors in made])
            channels, group = buffer["channels"], padded(buffer["channels"])
            planes = buffer["element"] == 1 and buffer["stride"] == 2 * group
            parts = [whole[..., start : start + channels] for start in ((0, group) if planes else (0,))]
            values[name] = np.concatenate(parts, -1)
        logits = values[self.description.logits][:, 0, 0]
        assert np.array_equal(run(self.program, images)[:, : logits.shape[1]], logits)
        return values

    def check_steps(self, tensors, images):
        """Every step from the engine's own inputs: floats within rounding, codes equal but at ties; codes compared."""
        seen = 0
        for step in self.description.steps:
            rows = np.ones(len(images), bool) if isinstance(step, Image) else self.float64.chosen(step, tensors)
            if not rows.any():
                continue
            chosen = {name: value[rows] for name, value in tensors.items()}
            done = self.float64.step(step, chosen, images[rows])
            for name, expected in done.floats.items():
                assert (np.abs(chosen[name] - expected) <= done.error[name]).all(), name
            if done.codes is not None:
                different = _whole_codes(step.tail.grid, chosen[step.tail.codes] != done.codes)
                assert (tie_distance(done.before)[different] <= TIE).all(), step.tail.codes
                seen += different.size
        return seen

    def check_layers(self, tensors):
        """Every quantized layer of the fake-quantized network on the engine's codes: its sums, within rounding."""
        cells = dict(self.stored.network.cells_and_names())
        for name, convs in self.convs.items():
            for step in convs:
                rows = self.float64.chosen(step, tensors)
                if rows.any():
                    self._check_layer(cells[name], name, step, {key: value[rows] for key, value in tensors.items()})

    def _check_layer(self, cell, name, step, tensors):
        layer, codes = self.stored.layers[name], tensors[step.source].astype(np.float64)
        candidate = getattr(step, "candidate", 0)
        weight = layer.weights[candidate]
        integers, source = integers_of(weight), self._input(name, candidate)
        if source.grid.planes:
            channels = codes.shape[-1] // 2
            codes = 256 * codes[..., :channels] + codes[..., channels:]
        x = np.ascontiguousarray((codes * source.unit).astype(np.float32).transpose(0, 3, 1, 2))
        if (name.endswith("downsample") or ".downsample." in name) and step.stride == 1:
            # The codes are of the pixels that the layer reads.
            x = np.repeat(np.repeat(x, 2, 2), 2, 3)
        x = x.reshape(len(x), -1) if integers.values.ndim == 2 else x
        found = cell(Tensor(x), *self._mask(step, tensors, len(layer.weights))).asnumpy().astype(np.float64)
        found = found.transpose(0, 2, 3, 1) if found.ndim == 4 else found[:, None, None]
        sums, sizes = sums_of(step, tensors[step.source])
        scale = (
            -weight.scale.astype(np.float64) if getattr(step, "differences", False) else integers.scale * source.unit
        )
        bias = cell.bias.asnumpy().astype(np.float64) if getattr(cell, "bias", None) is not None else 0
        size = np.abs(bias) + np.abs(scale) * sizes
        taps = 4 if getattr(step, "differences", False) else 4 + step.weight[0].size
        assert (np.abs(found - (scale * sums + bias)) <= HALF_ULP * taps * size).all(), name

    def _mask(self, step, tensors, candidates):
        if candidates == 1:
            return ()
        rows = np.zeros((len(tensors[step.source]), candidates), np.float32)
        rows[:, step.candidate] = 1
        return (Tensor(rows),)

    def _input(self, name, candidate=0):
        layer = self.stored.layers[name]
        if layer.grids:
            return input_of(layer.grids[candidate])
        weight = layer.weights[0]
        return input_of(ActivationGrid(weight.bits, weight.scale * np.float32(2 ** int(weight.bits[0]) - 1)))

    def check_traced(self, image):
        """The first codes or choices in which the two networks differ on an image are at ties; how many differ."""
        tensors, (floats, masks) = self.tensors(image[None]), self._float_inputs(image)
        for step in self.description.steps[1:]:
            if isinstance(step, Choose):
                if different := self._check_choices(step, tensors, masks):
                    return different
                continue
            name = next((name for name, convs in self.convs.items() if convs[0].source == step.tail.codes), None)
            if not step.tail.codes or name is None or not self.float64.chosen(step, tensors).all():
                continue  # codes of no layer, or what the image did not choose
            done = self.float64.step(step, tensors)
            codes = self._codes_of(name, step, floats[name], tensors)
            different = _whole_codes(step.tail.grid, tensors[step.tail.codes] != codes)
            if different.any():
                assert (tie_distance(done.before)[different] <= TIE).all(), name
                return int(different.sum())
        raise AssertionError("the networks differ and none of their codes does")

    def _check_choices(self, step, tensors, masks):
        """How many choices differ, each of equal scores."""
        chosen = np.array([masks[name][0].argmax() for name in self.convs if name in masks])
        different = chosen != self.float64.choices(tensors)[0]
        before = next(other for other in self.description.steps[1:] if other.tail.store == step.source)
        scores = self.float64.step(before, tensors).floats[step.source].reshape(-1, step.candidates)
        highest = np.sort(scores)[different][:, -2:]
        assert (highest[:, 1] - highest[:, 0] <= TIE * np.maximum(1, np.abs(highest[:, 1]))).all()
        return int(different.sum())

    def _codes_of(self, name, step, x, tensors):
        """The codes of the float network's input of a layer, as its quantizer computes them."""
        grid = step.tail.grid
        if grid.decision is not None:
            grid = self._input(name, int(self.float64.choices(tensors)[0, grid.decision])).grid
        else:
            grid = self._input(name).grid
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x[:, None, None]
        stride = x.shape[1] // tensors[step.tail.codes].shape[1]
        codes = np.rint(np.clip(x[:, ::stride, ::stride] * grid.steps, 0, grid.top)).astype(int) * grid.multiplier
        return np.concatenate([codes // 256, codes % 256], -1) if grid.planes else codes

    def _float_inputs(self, image):
        """Inputs of the float network's quantized layers, and the choices that some have as a second one."""
        cells = {name: cell for name, cell in self.stored.network.cells_and_names() if name in self.convs}
        inputs, masks = {}, {}

        def take(name, x, *others):
            inputs.setdefault(name, x.asnumpy())
            if len(self.stored.layers[name].weights) > 1:
                masks[name] = others[0].asnumpy()

        with ExitStack() as stack:
            stack.enter_context(execution_mode("pynative"))
            for name, cell in cells.items():
                hook = cell.register_forward_pre_hook(lambda _, given, name=name: take(name, *given))
                stack.callback(hook.remove)
                if hasattr(cell, "fused"):
                    _watch_fused(stack, cell, partial(take, name))
            self.stored.network.set_train(False)(Tensor(image[None]))
        return inputs, masks


def _whole_codes(grid, different):
    """Differences of codes, of either of two planes where they have two."""
    if not grid.planes:
        return different
    upper, lower = np.split(different, 2, -1)
    return upper | lower


@contextmanager
def _names_of_layers():
    """Names of the layers that become integer steps, in their order, while the block runs."""
    names, originals = [], (Layers._integer_conv, Layers._adder_conv)

    def watched(original):
        def call(layers, name, *args):
            names.append(name)
            return original(layers, name, *args)

        return call

    Layers._integer_conv, Layers._adder_conv = map(watched, originals)
    try:
        yield names
    finally:
        Layers._integer_conv, Layers._adder_conv = originals


def _watch_fused(stack, cell, take):
    original = cell.fused

    def fused(x, *others):
        take(x)
        return original(x, *others)

    object.__setattr__(cell, "fused", fused)
    stack.callback(object.__delattr__, cell, "fused")
