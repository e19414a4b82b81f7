"""Quantized layers in the place of ``nn.Conv2d`` and ``nn.Dense``, with the weights and biases of the float ones."""

from mindspore import Parameter, nn

from common.errors import ConfigError
from common.kernels.custom import use_native
from common.kernels.quantized_conv import NativeQuantizedConv
from common.quant.conv_geometry import conv_geometry
from common.quant.pact import SMALLEST_CLIP, PACTActivation


def _copy(parameter: Parameter) -> Parameter:
    return Parameter(parameter.value().copy())


class QuantConv2d(nn.Cell):
    """A convolution of quantized inputs with quantized weights: (N, C, H, W) to (N, F, OH, OW).

    In training PACT's activations are quantized as the convolution reads them, where nobody wants to see them.

    Args:
        conv: the float convolution.
        quantize_weight: cell from weights to quantized weights; None if the weights are on their levels already.
        quantize_input: cell from inputs to quantized inputs; None leaves them as they are.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        quantize_weight: nn.Cell | None,
        quantize_input: nn.Cell | None,
        native: bool | None = None,
    ):
        super().__init__()
        self.weight, self.has_bias = _copy(conv.weight), conv.has_bias
        self.bias = _copy(conv.bias) if conv.has_bias else None
        self.quantize_weight, self.quantize_input = quantize_weight, quantize_input
        self.input_forks = getattr(quantize_input, "forked", None) is not None
        geometry = conv_geometry(conv)
        self.conv, self.joined, self.joined_fork = geometry.conv2d(native), None, None
        if _joins(quantize_input) and geometry.even and use_native(native):
            self.joined = NativeQuantizedConv(*geometry.even, SMALLEST_CLIP, forks=False)
            self.joined_fork = NativeQuantizedConv(*geometry.even, SMALLEST_CLIP, forks=True)

    def construct(self, x):
        weight = self.weight if self.quantize_weight is None else self.quantize_weight(self.weight)
        if self.joined is not None and self.unwatched:
            return self.biased(
                self.joined(x, weight, self.quantize_input.bits.value(), self.quantize_input.clip.value())
            )
        return self.forward(x if self.quantize_input is None else self.quantize_input(x), weight)

    @property
    def unwatched(self) -> bool:
        """Whether it is training and nobody wants to see the layer or its quantized inputs alone."""
        if not self.training or self._forward_pre_hook or self._forward_hook:
            return False
        return not self.quantize_input._forward_pre_hook and not self.quantize_input._forward_hook

    @property
    def forks(self) -> bool:
        """Whether :meth:`fork` may be called."""
        if not self.input_forks and self.joined_fork is None:
            return False
        return self.unwatched

    def fork(self, x):
        """The layer of x, and x for what else reads it."""
        weight = self.weight if self.quantize_weight is None else self.quantize_weight(self.weight)
        if self.joined_fork is not None:
            bits, clip = self.quantize_input.bits.value(), self.quantize_input.clip.value()
            y, x = self.joined_fork(x, weight, bits, clip)
            return self.biased(y), x
        quantized, x = self.quantize_input.fork(x)
        return self.forward(quantized, weight), x

    def forward(self, x, weight):
        """The layer behind its quantizers."""
        return self.biased(self.product(x, weight))

    def product(self, x, weight):
        """The same without bias: linear in x and in weight."""
        return self.conv(x, weight)

    def biased(self, y):
        """The layer's output from its product."""
        return y + self.bias.reshape(1, -1, 1, 1) if self.has_bias else y


def _joins(quantize_input: nn.Cell | None) -> bool:
    """Whether the convolution can quantize its inputs itself."""
    pact = isinstance(quantize_input, PACTActivation) and not quantize_input.signed
    return pact and quantize_input.quantize.native


class QuantDense(nn.Cell):
    """A linear layer of quantized inputs and weights: (N, C) to (N, F).

    Args:
        dense: the float layer.
        quantize_weight: cell from weights to quantized weights; None if the weights are on their levels already.
        quantize_input: cell from inputs to quantized inputs; None leaves them as they are. Where it has ``channels``,
            these are groups of features and must divide C.

    Raises:
        ConfigError: a layer with an activation inside, or groups that do not divide its features.
    """

    def __init__(self, dense: nn.Dense, quantize_weight: nn.Cell | None, quantize_input: nn.Cell | None):
        super().__init__()
        channels = getattr(quantize_input, "channels", 1)
        if dense.in_channels % channels:
            raise ConfigError(
                f"linear layer: expected groups that divide {dense.in_channels} features, found {channels}"
            )
        if dense.activation_flag:
            raise ConfigError(f"linear layer: expected none with an activation inside, found {dense}")
        self.weight, self.has_bias = _copy(dense.weight), dense.has_bias
        self.bias = _copy(dense.bias) if dense.has_bias else None
        self.quantize_weight, self.quantize_input = quantize_weight, quantize_input

    def construct(self, x):
        weight = self.weight if self.quantize_weight is None else self.quantize_weight(self.weight)
        return self.forward(x if self.quantize_input is None else self.quantize_input(x), weight)

    def forward(self, x, weight):
        """The layer behind its quantizers."""
        y = self.product(x, weight)
        return y + self.bias if self.has_bias else y

    def product(self, x, weight):
        """The same without bias: linear in x and in weight."""
        return x @ weight.T


def quant_layers(network: nn.Cell) -> dict[str, QuantConv2d | QuantDense]:
    """The quantized layers of a network by name, in the order of its description."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, QuantConv2d | QuantDense)}
