"""What stands in the place of a weight quantizer in a network that is only evaluated."""

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.errors import QuantizationError
from common.quant.integer_weight import IntegerWeight


class FrozenWeight(nn.Cell):
    """Weights that are on their levels already, and their bits: ``construct(w)`` is w.

    Args:
        channels: output channels with bits of their own; 1 where all have the same.

    Attributes:
        bits: int32 (channels,), not trained.
    """

    def __init__(self, channels: int = 1):
        super().__init__()
        self.bits = Parameter(Tensor(np.zeros(channels, np.int32)), requires_grad=False)

    def construct(self, weight):
        return weight

    def parameters_of(self, weight: IntegerWeight) -> dict[str, np.ndarray]:
        """The values of this cell's parameters for a weight.

        Raises:
            QuantizationError: a weight of another number of channels with bits of their own.
        """
        if weight.bits.shape != self.bits.shape:
            raise QuantizationError(f"expected bits {self.bits.shape} of a weight, found {weight.bits.shape}")
        return {"bits": weight.bits.astype(np.int32)}
