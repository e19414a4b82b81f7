"""A convolution whose inputs and weights are on grids, as sums of whole numbers."""

from mindspore import ops

from common.quant.layers import QuantConv2d
from common.quant.pact import PACTActivation

_BEYOND = 3e38  # any weight


class GridConv2d(QuantConv2d):
    r"""A quantized convolution, for evaluation, whose sums float32 holds exactly: (N, C, H, W) to (N, F, OH, OW).

    .. math:: y_f = (u\,s_f) \sum_i L_{f,i}\,j_i, \qquad x = u\,j, \qquad w_f = s_f\,L_f

    with the input's step u, codes j, and s_f the smallest weight of a filter that is not 0, in size. Sums of float
    products are rounded at every step, each time another way; sums of whole numbers below 2^24 are not, in any order,
    so that what follows is as near to the equation as two roundings of a product allow.

    Args:
        layer: whose weights, bias and geometry it takes over. The levels are 0 and powers of two times a scale: a
            filter's weights are then whole multiples of the smallest, and the quotient is exact.
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
        codes, unit = self.quantize_input.codes(x)
        y = self.conv(codes, weight / least) * (unit * least).reshape(1, -1, 1, 1)
        return y + self.bias.reshape(1, -1, 1, 1) if self.has_bias else y
