"""Activations of a quantized network on grids of 8 or 16 bits, calibrated, so that whole layers are integers.

The paper quantizes weights alone. With 8 bits the network is another one, which must be measured, and a packed file can
hold its clips; with 16 bits the float network's function stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.errors import ConfigError
from common.kernels.fake_quant import UniformQuantize
from common.quant.calibration import best_clip, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.dorefa import MAX_BITS
from common.quant.grid_conv import GridConv2d
from common.quant.integer_weight import ActivationGrid, one
from common.quant.layers import QuantConv2d, quant_layers
from common.quant.pact import PACTActivation
from common.stored.network import StoredNetwork
from LDNQ.quant_config import ActivationConfig

_HEADROOM = 2.0  # of 16-bit clips above the largest value of the calibration: nothing is cut


class WideInput(nn.Cell):
    r"""Inputs on :math:`2^k` levels from 0 to a constant clip: ``construct(x)`` has the shape of x.

    Args:
        bits: k, more than :class:`~common.quant.pact.PACTActivation` takes.
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


def put_on_grids(network: nn.Cell, config: ActivationConfig, clips: Mapping[str, float] | None = None) -> nn.Cell:
    """Give the quantized layers of a network, in place, inputs on grids; returns the network.

    Args:
        network: with quantized weights.
        config: bits, and the layers whose inputs stay float.
        clips: by layer; None leaves them to be filled from a file.

    Raises:
        ConfigError: a name that is none of a quantized layer.
    """
    cells = quant_layers(network)
    if unknown := {*config.float_inputs, *config.signed} - set(cells):
        raise ConfigError(
            f"float_inputs, signed: expected quantized layers of the network, found {', '.join(sorted(unknown))}"
        )
    whole = {}
    for name in cells.keys() - set(config.float_inputs):
        clip = 1.0 if clips is None else clips[name]
        usual, signed = config.bits <= MAX_BITS, name in config.signed
        quantizer = PACTActivation(config.bits, clip, signed, learned=False) if usual else WideInput(config.bits, clip)
        if usual and not signed and isinstance(cells[name], QuantConv2d):
            whole[name] = GridConv2d(cells[name], quantizer)
        else:
            cells[name].quantize_input = quantizer
    return replace_cells(network, whole)


def with_activation_grids(stored: StoredNetwork, bits: int, images: Iterable[np.ndarray]) -> StoredNetwork:
    """The network with the inputs of its quantized layers on grids, in place.

    The first layer keeps float inputs. Others that go below 0, as after MobileNetV2's linear bottlenecks, have 2^k
    levels from -clip to clip at 8 bits and stay float at 16.

    Args:
        stored: packed network without grids, whose settings and integers then tell of them.
        bits: 8 or 16.
        images: batches (N, 3, H, W) to calibrate with.

    Raises:
        DataError: no image.
    """
    values = sample_inputs(stored.network, quant_layers(stored.network), images)
    below = [name for name, of_layer in values.items() if of_layer.min() < 0]
    signed = [name for name in below if name != next(iter(values)) and bits <= MAX_BITS]
    left = [name for name in below if name not in signed]
    config = ActivationConfig(bits, left, signed)
    clips = {name: _clip(of_layer, bits, name in signed) for name, of_layer in values.items() if name not in left}
    cells = quant_layers(put_on_grids(stored.network, config, clips))
    layers = {
        name: replace(layer, grids=(cells[name].quantize_input.grid(),)) if name in clips else layer
        for name, layer in stored.layers.items()
    }
    recorded = {name: value for name, value in asdict(config).items() if name != "signed" or value}
    settings = {**stored.metadata.get("settings", {}), "activations": recorded}
    return replace(stored, layers=layers, metadata={**stored.metadata, "settings": settings})


def _clip(values: np.ndarray, bits: int, signed: bool) -> float:
    return best_clip(values, bits, signed) if bits <= MAX_BITS else _HEADROOM * float(values.max(initial=0.5))
