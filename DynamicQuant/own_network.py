"""Any network quantized by DynamicQuant, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mindspore import nn

from common.models.resnet_cifar import ResNetCifar
from common.models.resnet_imagenet import ResNetImageNet
from common.quant.calibration import calibration_batches
from common.stored.own_network import Quantized, Request, configured
from DynamicQuant.any_network import calibrate, conversion, settled
from DynamicQuant.quant_config import QuantConfig

_CALIBRATION_IMAGES = 512


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network with latent weights and a bit controller; its clips fit the images, where there are any.

    Args:
        network: float; it is changed.
        request: images and their form.
        options: fields of :class:`DynamicQuant.quant_config.QuantConfig`; ``stage`` names the cell whose output the
            controller sees, else the library finds one.
    """
    (config,) = configured({"image_size": request.image_size, **options}, QuantConfig)
    config, clips = settled(network, config, type(network) in (ResNetCifar, ResNetImageNet)), {}
    if request.images is not None:
        sample = (request.images, request.preprocessing, _CALIBRATION_IMAGES, request.seed)
        clips = calibrate(network, config, calibration_batches(*sample))
    return Quantized(conversion(config)(network, config, clips, seed=request.seed), "latent", asdict(config))
