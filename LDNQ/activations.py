"""Activations of a quantized network on grids of 8 or 16 bits, calibrated, so that whole layers are integers.

The paper quantizes weights alone. With 8 bits the network is another one, which must be measured; with 16 bits the
float network's function stays.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.kernels.fake_quant import UniformQuantize
from common.quant.calibration import best_clip, sample_inputs
from common.quant.integer_weight import ActivationGrid, one
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork

ACT_BITS = (8, 16)
_HEADROOM = 2.0  # of 16-bit clips above the largest value of the calibration: nothing is cut


class UniformInput(nn.Cell):
    r"""Inputs on :math:`2^k` levels from 0 to a constant clip: ``construct(x)`` has the shape of x.

    Args:
        bits: k, 8 or 16.
        clip: largest level, > 0.

    Attributes:
        bits: int32 (1,), not trained.
        clip: float32 (1,), not trained.
    """

    def __init__(self, bits: int, clip: float):
        super().__init__()
        self.bits = Parameter(Tensor(one(bits, np.int32)), requires_grad=False)
        self.clip = Parameter(Tensor(one(clip, np.float32)), requires_grad=False)
        self.quantize, self.probe = UniformQuantize(), Tensor(np.zeros(1, np.float32))

    def construct(self, x):
        rows = x.reshape(x.shape[0], 1, -1)
        return self.quantize(rows, self.bits.value(), self.clip.value(), self.probe).reshape(x.shape)

    def grid(self) -> ActivationGrid:
        """The levels that the input is on."""
        return ActivationGrid(self.bits.asnumpy().astype(np.uint8), self.clip.asnumpy())


def with_activation_grids(stored: StoredNetwork, bits: int, images: Iterable[np.ndarray]) -> StoredNetwork:
    """The network with the inputs of its quantized layers on grids, in place.

    Layers whose inputs go below 0, such as the first one, keep float inputs.

    Args:
        stored: packed network without grids.
        bits: 8 or 16.
        images: batches (N, 3, H, W) to calibrate with.

    Raises:
        DataError: no image.
    """
    cells, layers = quant_layers(stored.network), dict(stored.layers)
    for name, values in sample_inputs(stored.network, cells, images).items():
        if values.min() < 0:
            continue
        clip = best_clip(values, bits) if bits <= 8 else _HEADROOM * float(values.max(initial=0.5))
        quantizer = UniformInput(bits, clip)
        cells[name].quantize_input = quantizer
        layers[name] = replace(layers[name], grids=(quantizer.grid(),))
    for name, parameter in stored.network.parameters_and_names():
        parameter.name = name
    stored.network.compile_cache.clear()  # it has run without them
    return replace(stored, layers=layers, metadata={**stored.metadata, "act_bits": bits})
