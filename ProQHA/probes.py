"""Inputs of all quantized layers and gradients of the log-odds at both ends of them, from one pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from common.checkpoint import network_state
from common.quant.conversion import replace_cells
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.runtime.hooks import input_hooks

_INSIDE = "layer"  # name of the layer inside its probe
_MOST_VALUES = 1 << 28  # of all inputs that a pass keeps; 1 GiB, and the gradients as much again
_FAR = 1e9  # takes a class out of a sum of exponentials


class Probe(nn.Cell):
    """A quantized layer that keeps its input, with zeros added to its quantized input and to its output.

    The gradients for the zeros are those for what they are added to.

    ``construct(x)``: (B, C, ...) float32 to (B, F, ...), as the layer does.

    Args:
        layer: layer whose quantizers are measured.
        inputs: shape of the input of a whole batch, (B, C, ...).
    """

    def __init__(self, layer: QuantConv2d | QuantDense, inputs: tuple[int, ...]):
        super().__init__()
        self.layer = layer
        one = layer.product(Tensor(np.zeros((1, *inputs[1:]), np.float32)), layer.weight)
        self.input = Parameter(Tensor(np.zeros(inputs, np.float32)), requires_grad=False)
        self.input_zero = Parameter(Tensor(np.zeros(inputs, np.float32)))
        self.output_zero = Parameter(Tensor(np.zeros((inputs[0], *one.shape[1:]), np.float32)))

    def construct(self, x):
        ops.assign(self.input, x)
        weight = self.layer.quantize_weight(self.layer.weight)
        return self.layer.forward(self.layer.quantize_input(x) + self.input_zero, weight) + self.output_zero


@dataclass(frozen=True, eq=False)
class Trace:
    """Inputs and gradients that a probe has recorded of N images.

    Attributes:
        inputs: inputs before quantization, (N, C, ...).
        input_gradients: gradients of each image's log-odds for its quantized inputs, (N, C, ...).
        output_gradients: gradients of the log-odds for its outputs, (N, F, ...).
    """

    inputs: np.ndarray
    input_gradients: np.ndarray
    output_gradients: np.ndarray


class ProbedNetwork(nn.Cell):
    r"""A network with a probe at each quantized layer, that traces others of its kind.

    The log-odds of an image of class y are :math:`m = \log p_y - \log(1 - p_y)`.

    Args:
        network: quantized network; its layers are wrapped in place.
        image_shape: shape of an image, (3, H, W).
        images: number of images in all, for this process.

    Attributes:
        batch: images of a pass, as many as memory should hold.
    """

    def __init__(self, network: nn.Cell, image_shape: tuple[int, ...], images: int):
        super().__init__(auto_prefix=False)
        shapes, layers = _input_shapes(network, image_shape), quant_layers(network)
        self.batch = max(1, min(images, _MOST_VALUES // sum(int(np.prod(shape)) for shape in shapes.values())))
        self.probes = {name: Probe(layer, (self.batch, *shapes[name])) for name, layer in layers.items()}
        self.network = replace_cells(network, self.probes)
        self.network.set_train(False)
        zeros = [zero for probe in self.probes.values() for zero in (probe.input_zero, probe.output_zero)]
        self.gradient = ops.value_and_grad(self._log_odds, None, ParameterTuple(zeros), has_aux=True)

    def _log_odds(self, images, labels):
        scores = self.network(images)
        of_class = ops.one_hot(labels, scores.shape[1], Tensor(1.0), Tensor(0.0))
        log_odds = (scores * of_class).sum(1) - ops.logsumexp(scores - _FAR * of_class, 1)
        return log_odds.sum(), log_odds

    def construct(self, images, labels):
        (_, log_odds), gradients = self.gradient(images, labels)
        return log_odds, gradients

    def copy_from(self, network: nn.Cell) -> None:
        """Take the parameters of a quantized network of the same description."""
        parameters = dict(self.network.parameters_and_names())
        for name, value in network_state.state(network).items():
            parameters[self._place(name)].set_data(Tensor(value))

    def trace(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, Mapping[str, Trace]]:
        """Log-odds (N,) and the trace of each layer, in evaluation mode, where images do not touch each other.

        Args:
            images: (N, 3, H, W), N = ``batch``.
            labels: (N,) int32.
        """
        log_odds, gradients = self(Tensor(images), Tensor(labels))
        arrays = [gradient.asnumpy() for gradient in gradients]
        pairs = zip(arrays[::2], arrays[1::2])
        traces = {name: Trace(probe.input.asnumpy(), *pair) for (name, probe), pair in zip(self.probes.items(), pairs)}
        return log_odds.asnumpy(), traces

    def _place(self, name: str) -> str:
        """Name of a parameter of the network in this cell."""
        layer = next((layer for layer in self.probes if name.startswith(f"{layer}.")), None)
        return f"{layer}.{_INSIDE}{name.removeprefix(layer)}" if layer else name


def _input_shapes(network: nn.Cell, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of one image's input of each quantized layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    network.set_train(False)
    with input_hooks(quant_layers(network), lambda name, x: shapes.update({name: x.shape[1:]})):
        network(Tensor(np.zeros((1, *image_shape), np.float32)))
    return shapes
