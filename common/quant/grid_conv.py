"""A convolution whose inputs and weights are on grids, as sums of whole numbers."""

from mindspore import ops

from common.quant.layers import QuantConv2d, QuantDense
from common.quant.pact import PACTActivation

_BEYOND = 3e38  # any weight
_WHOLE = 1e-3  # between a whole number and a quotient of rounded weights, at most


class GridConv2d(QuantConv2d):
    r"""A quantized convolution, for evaluation, whose sums float32 holds exactly: (N, C, H, W) to (N, F, OH, OW).

    .. math:: y_f = (u\,s_f) \sum_i L_{f,i}\,j_i, \qquad x = u\,j, \qquad w_f = s_f\,L_f

    with the input's step u, codes j, and s_f the step of a filter's weights, the size of the smallest. Sums of float
    products are rounded at every step, each time another way; sums of whole numbers below 2^24 are not, in any order,
    so that what follows is as near to the equation as two roundings of a product allow.

    A filter whose weights are no whole multiples of its smallest, such as DoReFa's without the levels next to 0, is
    computed from the weights as they are.

    Args:
        layer: whose weights, bias and geometry it takes over. Levels are 0 and powers of two times a scale, then the
            quotient is exact, or DoReFa's, odd numbers times a scale, then it is rounded to them.
        quantize_input: of unsigned inputs.
    """

    def __init__(self, layer: QuantConv2d, quantize_input: PACTActivation):
        super(QuantConv2d, self).__init__()
        self.weight, self.has_bias, self.bias = layer.weight, layer.has_bias, layer.bias
        self.quantize_weight, self.quantize_input = layer.quantize_weight, quantize_input
        self.input_forks, self.joined, self.joined_fork, self.conv = False, None, None, layer.conv

    def construct(self, x):
        weight = self.weight if self.quantize_weight is None else self.quantize_weight(self.weight)
        sizes = weight.abs()
        least = ops.where(sizes > 0, sizes, _BEYOND).min((1, 2, 3), keepdims=True)
        least = ops.where(least < _BEYOND, least, 1.0)  # of a filter of zeros any number will do
        most = ops.maximum(sizes.max((1, 2, 3), keepdims=True), least)
        step = most / ops.round(most / least)  # of the largest weight, whose rounding counts least
        whole = ops.round(weight / step)
        exact = (whole - weight / step).abs().max((1, 2, 3), keepdims=True) < _WHOLE
        codes, unit = self.quantize_input.codes(x)
        scale = ops.where(exact, step, 1.0)
        y = self.conv(codes, ops.where(exact, whole, weight)) * (unit * scale).reshape(1, -1, 1, 1)
        return y + self.bias.reshape(1, -1, 1, 1) if self.has_bias else y


def with_whole_sums(layer: QuantConv2d | QuantDense) -> QuantConv2d | QuantDense:
    """For evaluation: :class:`GridConv2d` in the place of a convolution of unsigned inputs, else the layer."""
    grid = layer.quantize_input
    unsigned = isinstance(layer, QuantConv2d) and isinstance(grid, PACTActivation) and not grid.signed
    return GridConv2d(layer, grid) if unsigned else layer
