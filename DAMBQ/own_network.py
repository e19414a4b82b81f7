"""Any network quantized by DAMBQ, for ``lowbitzoo.quantize``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mindspore import nn

from common.stored.own_network import Planned, Quantized, Request, configured
from DAMBQ.convert import calibrate_last, calibrated_clips, quantize_network, set_clips, set_layer_bits, settled
from DAMBQ.quant_config import QuantConfig

_CALIBRATION_IMAGES = 512


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network with latent weights; its clips fit the images, where there are any.

    Args:
        network: float; it is changed.
        request: images and their form.
        options: fields of :class:`DAMBQ.quant_config.QuantConfig`, and ``bits_file``.
    """
    config, planned = configured(options, QuantConfig, Planned)
    config, clips, sample = settled(network, config, request.image_size), {}, ()
    if request.images is not None:
        sample = (request.images, request.preprocessing, _CALIBRATION_IMAGES, request.seed)
        clips = calibrated_clips(network, config, *sample)
    quantize_network(network, config)
    set_clips(network, clips)
    if planned.bits_file is not None:
        set_layer_bits(network, planned.bits_file)
    if sample:
        calibrate_last(network, *sample)
    return Quantized(network, "latent", asdict(config))
