"""Quantized networks of random weights, as a packed file of ProQHA gives them, and images for them."""

import numpy as np
from mindspore import Tensor

from common.models.registry import model
from common.quant.calibration import evaluating
from common.stored.network import StoredNetwork
from ProQHA import storage
from ProQHA.convert import calibrate, quantize_network
from ProQHA.quant import get_bits, set_bits
from ProQHA.quant_config import QuantConfig


def images(count, side, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, 3, side, side)).astype(np.float32)


def packed(path, architecture, weight_bits, activation_bits, side) -> StoredNetwork:
    """A network whose BatchNorms have statistics of all sizes, its clips calibrated, written and read."""
    network, rng = model(architecture).build(10), np.random.default_rng(1)
    for name, parameter in network.parameters_and_names():
        if name.endswith((".gamma", ".moving_variance")):
            parameter.set_data(Tensor(rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
        elif name.endswith((".beta", ".moving_mean")):
            parameter.set_data(Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    config = quantize_network(network, QuantConfig(bits=8), side)
    set_bits(network, np.tile([weight_bits, activation_bits], (len(get_bits(network)), 1)))
    with evaluating(network):
        calibrate(network, [images(4, side, 9)])
    settings = {"bits": config.bits, "activation_clip": config.activation_clip, "signed": list(config.signed)}
    about = {"method": "ProQHA", "kind": "latent", "network": architecture, "num_classes": 10, "settings": settings}
    storage.save_packed(path, StoredNetwork(network, about))
    return storage.load(path)
