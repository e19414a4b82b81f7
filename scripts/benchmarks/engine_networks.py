"""Quantized networks of random weights with calibrated grids, as the integer engine takes them."""

from collections.abc import Callable, Mapping

import numpy as np

_CALIBRATION = 4  # images


def description(method: str, network: str, side: int, **settings):
    """A method's network as a description for the engine's compiler.

    Args:
        method: a name in ``METHODS``.
        network: name in the zoo.
        side: height and width of its images.
        settings: of the method.
    """
    from common.checkpoint import network_state
    from common.engine.networks.describe import describe

    cell, layers = quantized(method, network, side, **settings)
    state: Mapping[str, np.ndarray] = network_state.state(cell)
    # Of layers with float inputs, such as the first one.
    floats = {name: layer for name, layer in layers.items() if not layer.grids}
    state |= {f"{name}.weight": layer.weights[0].dequantize() for name, layer in floats.items()}
    return describe(network, state, layers, (side, side), floats=True)


def quantized(method: str, network: str, side: int, **settings):
    """The same as a cell and the integers of its layers."""
    from common.models.registry import model

    cell = model(network).build(10 if side == 32 else 1000)
    images = np.random.default_rng(0).normal(size=(_CALIBRATION, 3, side, side)).astype(np.float32)
    return METHODS[method](cell, images, **settings)


def _proqha(cell, images, bits: int):
    from common.stored.quantized_layers import integer_layers
    from ProQHA.convert import calibrate, quantize_network
    from ProQHA.quant_config import QuantConfig

    quantize_network(cell, QuantConfig(bits=bits), images.shape[2])
    calibrate(cell, [images])
    return cell, _eagerly(integer_layers, cell)


def _dambq(cell, images, bits: int, table: str):
    from common.models.layers import weighted_layers
    from common.quant.calibration import best_clip, sample_inputs
    from common.stored.quantized_layers import integer_layers
    from DAMBQ.convert import quantize_network, set_clips
    from DAMBQ.quant_config import QuantConfig

    floats = weighted_layers(cell)
    names = list(floats)[1:]
    values = sample_inputs(cell, {name: floats[name] for name in names}, [images])
    quantize_network(cell, QuantConfig(table, bits))
    set_clips(cell, {name: best_clip(values[name], bits) for name in names})
    return cell, _eagerly(integer_layers, cell)


def _dynamicquant(cell, images, bits: int, static: bool):
    from DynamicQuant.convert import calibrate, quantize_network
    from DynamicQuant.packing import integer_layers
    from DynamicQuant.quant_config import QuantConfig

    clips = calibrate(cell, [images], bits)
    cell = quantize_network(cell, QuantConfig(bits, static=static, image_size=images.shape[2]), clips)
    return cell, _eagerly(integer_layers, cell)


def _ldnq(cell, images, levels: int, act_bits: int | None):
    from common.models.layers import weighted_layers
    from common.quant.integer_weight import IntegerLayer, IntegerWeight, one
    from common.stored.network import StoredNetwork
    from LDNQ.activations import with_activation_grids
    from LDNQ.convert import quantized_network
    from LDNQ.levels import TABLES, code_bits, project, to_codes
    from LDNQ.quant_config import QuantConfig

    layers = {}
    for name, layer in weighted_layers(cell).items():
        weight = layer.weight.asnumpy()
        found = project(weight.reshape(len(weight), -1).astype(np.float64), levels, per_channel=True)
        codes = to_codes(found.levels, levels).reshape(weight.shape)
        scale = found.scale.ravel().astype(np.float32)
        bits = one(code_bits(levels), np.uint8)
        layers[name] = IntegerLayer((IntegerWeight(codes, bits, scale, TABLES[levels]),))
    network = quantized_network(cell, QuantConfig(levels), layers)
    if act_bits is None:
        return network, layers
    made = with_activation_grids(StoredNetwork(network, {"kind": "packed"}, layers), act_bits, [images])
    return made.network, made.layers


def _adderquant(cell, images, bits: int):
    from AdderQuant.calibration import input_ranges, observe_inputs
    from AdderQuant.convert import quantize_network
    from AdderQuant.packing import integer_layers
    from AdderQuant.quant_config import QuantConfig
    from common.runtime.hooks import reestimate_batch_norm

    config = QuantConfig(bits=bits)
    reestimate_batch_norm(cell, [images])  # random adders' outputs are far below 0
    quantize_network(cell, config, input_ranges(observe_inputs(cell, [images]), config))
    return cell, integer_layers(cell)


def _eagerly(integers: Callable, cell):
    from common.runtime import context

    with context.execution_mode("pynative"):
        return integers(cell)


METHODS = {"ProQHA": _proqha, "DAMBQ": _dambq, "DynamicQuant": _dynamicquant, "LDNQ": _ldnq, "AdderQuant": _adderquant}
