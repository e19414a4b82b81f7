"""Any network quantized by ProQHA, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mindspore import nn

from common.quant.calibration import calibration_batches
from common.stored.own_network import Quantized, Request, configured
from ProQHA.convert import calibrate, quantize_network
from ProQHA.quant_config import QuantConfig

_CALIBRATION_IMAGES = 512


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network with latent weights; its clips fit the images, where there are any.

    Args:
        network: float; it is changed.
        request: images and their form.
        options: fields of :class:`ProQHA.quant_config.QuantConfig`.
    """
    (config,) = configured(options, QuantConfig)
    config = quantize_network(network, config, request.image_size)
    if request.images is not None:
        sample = (request.images, request.preprocessing, _CALIBRATION_IMAGES, request.seed)
        calibrate(network, calibration_batches(*sample))
    return Quantized(network, "latent", asdict(config))
