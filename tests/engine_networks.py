"""Quantized networks of random weights, as packed files give them, and images for them."""

import numpy as np
from mindspore import Tensor

from common.models.layers import weighted_layers
from common.models.registry import model
from common.quant.calibration import evaluating, sample_inputs
from common.stored.network import StoredNetwork
from DAMBQ import convert as dambq
from DAMBQ import storage as dambq_storage
from DAMBQ.quant_config import QuantConfig as DAMBQConfig
from ProQHA import storage
from ProQHA.convert import calibrate, quantize_network
from ProQHA.quant import get_bits, set_bits
from ProQHA.quant_config import QuantConfig
from scripts.benchmarks.engine_networks import METHODS


def images(count, side, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, 3, side, side)).astype(np.float32)


def random_network(architecture):
    """A float network whose BatchNorms have statistics of all sizes."""
    network, rng = model(architecture).build(10), np.random.default_rng(1)
    for name, parameter in network.parameters_and_names():
        if name.endswith((".gamma", ".moving_variance")):
            parameter.set_data(Tensor(rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
        elif name.endswith((".beta", ".moving_mean")):
            parameter.set_data(Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    return network


def packed(path, architecture, weight_bits, activation_bits, side) -> StoredNetwork:
    """A network of ProQHA, its clips calibrated, written and read."""
    network = random_network(architecture)
    config = quantize_network(network, QuantConfig(bits=8), side)
    set_bits(network, np.tile([weight_bits, activation_bits], (len(get_bits(network)), 1)))
    with evaluating(network):
        calibrate(network, [images(4, side, 9)])
    settings = {"bits": config.bits, "activation_clip": config.activation_clip, "signed": list(config.signed)}
    about = {"method": "ProQHA", "kind": "latent", "network": architecture, "num_classes": 10, "settings": settings}
    storage.save_packed(path, StoredNetwork(network, about))
    return storage.load(path)


def packed_by_channel(path, architecture, side) -> StoredNetwork:
    """A network of DAMBQ whose channels have 1, 2 or 4 bits, table int8, its clips calibrated, written and read."""
    network, rng = random_network(architecture), np.random.default_rng(2)
    inputs = sample_inputs(network, weighted_layers(network), [images(4, side, 9)])
    settings = {"table": "int8", "bits": 4, "activation_clip": 3.0}
    dambq.quantize_network(network, DAMBQConfig(**settings))
    for layer in dambq.multi_bit_layers(network).values():
        for quantizer in (layer.quantize_weight, layer.quantize_input):
            bits = rng.choice([1, 2, 4], quantizer.bits.shape, p=[0.1, 0.2, 0.7]).astype(np.int32)
            quantizer.bits.set_data(Tensor(bits))
    dambq.set_clips(network, {name: float(values.max()) for name, values in list(inputs.items())[1:]})
    about = {"method": "DAMBQ", "kind": "latent", "network": architecture, "num_classes": 10, "settings": settings}
    dambq_storage.save_packed(path, StoredNetwork(network, about))
    return dambq_storage.load(path)


def on_11_levels(architecture, act_bits) -> StoredNetwork:
    """A network of LDNQ with 11 levels and activations of so many bits."""
    network, layers = METHODS["LDNQ"](random_network(architecture), images(4, 32, 9), levels=11, act_bits=act_bits)
    return StoredNetwork(network, {"kind": "packed", "network": architecture}, layers)
