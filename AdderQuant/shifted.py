r"""Adder layers whose inputs may be negative: inputs and weights are shifted together, which no distance feels.

.. math:: |x - w| = |(x + c) - (w + c)|

With c = -min x the shifted inputs are >= 0, and both schemes hold for them. Zeros around the image are shifted too.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn

from AdderQuant.quant import QuantAdder2d
from AdderQuant.quant_config import QuantConfig
from common.kernels.padded_adder import adder_windows
from common.kernels.padded_conv import same_padding, surrounded
from common.models.adder import Adder2d


class ShiftedAdder(nn.Cell):
    """A quantized adder layer of inputs that reach below 0: (N, C, H, W) to (N, F, OH, OW).

    Args:
        layer: the float one.
        config: quantization settings.

    Attributes:
        offset: c, float32 (1,).
        adder: the layer on codes of shifted inputs, without padding.
    """

    def __init__(self, layer: Adder2d, config: QuantConfig):
        super().__init__()
        filters, channels, kernel, _ = layer.weight.shape
        self.sides, self.windows = layer.sides, ((kernel,) * 2, (layer.stride,) * 2, (layer.dilation,) * 2)

        def around(make):
            return adder_windows(kernel, layer.stride, (0,) * 4, layer.dilation, make)

        self.offset = Parameter(Tensor(np.zeros(1, np.float32)), requires_grad=False)
        self.adder = QuantAdder2d(channels, filters, kernel, layer.stride, 0, config.scale_groups, around=around)

    def construct(self, x):
        sides = same_padding(x.shape[2:], *self.windows) if self.sides is None else self.sides
        return self.adder(surrounded(x, sides) + self.offset)
