"""Any network quantized by ProQHA, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mindspore import nn

from common.quant.calibration import calibration_batches
from common.quant.layers import quant_layers
from common.stored.own_network import Planned, Quantized, Request, configured
from ProQHA.convert import calibrate, quantize_network
from ProQHA.cost_model import MixedBits
from ProQHA.quant import set_bits
from ProQHA.quant_config import QuantConfig

_CALIBRATION_IMAGES = 512


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network with latent weights; its clips fit the images, where there are any.

    Args:
        network: float; it is changed.
        request: images and their form.
        options: fields of :class:`ProQHA.quant_config.QuantConfig`, and ``bits_file``.
    """
    config, planned = configured(options, QuantConfig, Planned)
    config = quantize_network(network, config, request.image_size)
    if planned.bits_file is not None:
        set_bits(
            network, MixedBits(config.bits, config.bits, file=planned.bits_file).of_network(list(quant_layers(network)))
        )
    if request.images is not None:
        sample = (request.images, request.preprocessing, _CALIBRATION_IMAGES, request.seed)
        calibrate(network, calibration_batches(*sample))
    return Quantized(network, "latent", asdict(config))
