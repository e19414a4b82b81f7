"""Any network quantized by DynamicQuant, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mindspore import nn

from common.models.resnet_cifar import ResNetCifar
from common.models.resnet_imagenet import ResNetImageNet
from common.quant.calibration import best_clip, calibration_batches, sample_inputs
from common.quant.quantizable import quantizable_layers
from common.stored.own_network import Quantized, Request, configured
from DynamicQuant.convert import calibrate, quantize_network
from DynamicQuant.quant_config import QuantConfig
from DynamicQuant.recorded_network import quantize_recorded, settled

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
    zoos = type(network) in (ResNetCifar, ResNetImageNet) and config.stage is None
    config = config if zoos else settled(network, config)
    clips, sample = {}, (request.images, request.preprocessing, _CALIBRATION_IMAGES, request.seed)
    if request.images is not None and zoos:
        clips = calibrate(network, calibration_batches(*sample), config.bits)
    elif request.images is not None:
        layers = {name: cell for name, cell in quantizable_layers(network).items() if name not in config.ends}
        inputs = sample_inputs(network, layers, calibration_batches(*sample))
        clips = {name: best_clip(values, config.bits, name in config.signed) for name, values in inputs.items()}
    convert = quantize_network if zoos else quantize_recorded
    return Quantized(convert(network, config, clips, seed=request.seed), "latent", asdict(config))
