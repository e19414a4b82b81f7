"""Any network of adder layers quantized by AdderQuant, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mindspore import nn

from AdderQuant.calibration import CalibrationData, calibrate_by, observe_inputs
from AdderQuant.network import adder_layers
from AdderQuant.packing import integer_layers
from AdderQuant.quant_config import QuantConfig
from common import distributed
from common.errors import ConfigError
from common.quant.quantizable import traced_inputs
from common.stored.own_network import Quantized, Request, configured


@dataclass(frozen=True)
class Images:
    """How many of the images are used.

    Attributes:
        count: number of calibration images, at most all.
        reestimation_batches: number of batches of 128 images that BatchNorm statistics are taken from.
    """

    count: int = 768
    reestimation_batches: int = 16


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network on integers, packed: it is not trained any more. Layers with negative inputs are shifted.

    Args:
        network: float, of :class:`common.models.adder.Adder2d` layers; it is changed.
        request: images, which are needed.
        options: fields of :class:`AdderQuant.quant_config.QuantConfig` and :class:`Images`.

    Raises:
        ConfigError: no images, no adder layer, or an option that is none.
        QuantizationError: a layer that the scheme cannot represent, named.
    """
    config, use = configured(options, QuantConfig, Images)
    source = request.needed_images("AdderQuant")
    layers = adder_layers(network)
    if not layers:
        raise ConfigError(
            f"network: expected adder layers (lowbitzoo.Adder2d), found none in {type(network).__name__}; convolutions "
            "are for the other methods"
        )
    traced_inputs(network, layers, request.image_size)  # refuses what is not called, or takes other images
    data = CalibrationData(
        source.sample(min(use.count, len(source)), request.seed), request.preprocessing, use.reestimation_batches
    )
    inputs = observe_inputs(network, distributed.share(data.plain()))
    config = replace(config, signed=tuple(name for name, seen in inputs.items() if seen.minimum < 0))
    network = calibrate_by(network, config, data, inputs)
    return Quantized(network, "packed", asdict(config), integer_layers(network))
