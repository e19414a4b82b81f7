"""The inputs of all quantized layers and the loss's gradients behind the quantizers, from one pass."""

from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from common import checkpoint
from common.observation import input_hooks
from common.quant.conversion import replace_cells
from common.quant.layers import QuantConv2d, QuantDense
from ProQHA.quant import quant_layers

_INSIDE = "layer"  # name of the layer inside its tap


class Tap(nn.Cell):
    """A quantized layer that keeps its input, with zeros added to its quantized input and weights.

    The gradients for the zeros are those for what they are added to.

    Args:
        layer: whose quantizers are looked at.
        inputs: shape of the input of a whole batch.
    """

    def __init__(self, layer: QuantConv2d | QuantDense, inputs: tuple[int, ...]):
        super().__init__()
        self.layer = layer
        self.input = Parameter(Tensor(np.zeros(inputs, np.float32)), requires_grad=False)
        self.input_zero = Parameter(Tensor(np.zeros(inputs, np.float32)))
        self.weight_zero = Parameter(Tensor(np.zeros(layer.weight.shape, np.float32)))

    def construct(self, x):
        ops.assign(self.input, x)
        weight = self.layer.quantize_weight(self.layer.weight) + self.weight_zero
        return self.layer.forward(self.layer.quantize_input(x) + self.input_zero, weight)


@dataclass(frozen=True)
class Seen:
    """What a tap has seen.

    Attributes:
        inputs: (N, C, ...) before quantization.
        input_gradients: (N, C, ...) of the mean loss for the quantized inputs.
        weight_gradients: (F, C, ...) of the mean loss for the quantized weights.
    """

    inputs: np.ndarray
    input_gradients: np.ndarray
    weight_gradients: np.ndarray


class TappedNetwork(nn.Cell):
    """A network with a tap at each quantized layer, that looks at others of its kind.

    Args:
        network: quantized; its layers are wrapped in place.
        batch_shape: (N, 3, H, W) of the images to come.
    """

    def __init__(self, network: nn.Cell, batch_shape: tuple[int, ...]):
        super().__init__(auto_prefix=False)
        shapes = _input_shapes(network, batch_shape[1:])
        layers = quant_layers(network)
        self.taps = {name: Tap(layer, (batch_shape[0], *shapes[name])) for name, layer in layers.items()}
        self.network = replace_cells(network, self.taps)
        self.network.set_train(False)
        zeros = [zero for tap in self.taps.values() for zero in (tap.input_zero, tap.weight_zero)]
        self.gradient = ops.grad(self._loss, None, ParameterTuple(zeros))

    def _loss(self, images, labels):
        return ops.cross_entropy(self.network(images), labels)

    def construct(self, images, labels):
        return self.gradient(images, labels)

    def see(self, network: nn.Cell, images: np.ndarray, labels: np.ndarray) -> dict[str, Seen]:
        """Run a network's parameters in evaluation mode, where images do not touch each other.

        Args:
            network: quantized, of the same description.
            images: (N, 3, H, W).
            labels: (N,) int32.
        """
        own = dict(self.network.parameters_and_names())
        for name, value in checkpoint.state(network).items():
            own[self._place(name)].set_data(Tensor(value))
        gradients = [gradient.asnumpy() for gradient in self(Tensor(images), Tensor(labels))]
        pairs = zip(gradients[::2], gradients[1::2])
        return {name: Seen(tap.input.asnumpy(), *pair) for (name, tap), pair in zip(self.taps.items(), pairs)}

    def _place(self, name: str) -> str:
        """Where a parameter of the network is here."""
        layer = next((layer for layer in self.taps if name.startswith(f"{layer}.")), None)
        return f"{layer}.{_INSIDE}{name.removeprefix(layer)}" if layer else name


def _input_shapes(network: nn.Cell, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of one image's input of each quantized layer."""
    found: dict[str, tuple[int, ...]] = {}
    network.set_train(False)
    with input_hooks(quant_layers(network), lambda name, x: found.update({name: x.shape[1:]})):
        network(Tensor(np.zeros((1, *image_shape), np.float32)))
    return found
