"""Figures of a network of DAMBQ in a report beside its accuracy."""

from pathlib import Path

from mindspore import nn

from common.cli.evaluation import Summary
from common.evaluation import cost
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork
from DAMBQ import storage
from DAMBQ.allocation import average_bits
from DAMBQ.convert import multi_bit_layers


def layer_bits(network: nn.Cell) -> dict[str, tuple[float, float]]:
    """Mean bits of weights and of inputs of each quantized layer; the first one's input is float."""
    names = list(quant_layers(network))
    bits = dict.fromkeys(names, (8.0, 8.0)) | dict.fromkeys(names[:1], (8.0, 32.0))
    for name, layer in multi_bit_layers(network).items():
        bits[name] = tuple(float(part.bits.asnumpy().mean()) for part in (layer.quantize_weight, layer.quantize_input))
    return bits


def summarize(stored: StoredNetwork, path: Path, image_size: int) -> Summary:
    """Method, network, average bits and cost.

    Args:
        stored: network with its metadata.
        path: file of the network.
        image_size: side of the images in pixels.
    """
    network = stored.network
    bits, names = layer_bits(network), list(quant_layers(network))
    layers = cost.trace(network, (3, image_size, image_size), bits=bits, products=names)
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    record["cost"] = cost.summary(layers, path.stat().st_size)
    if not names:
        means = {"weights": 32.0, "activations": 32.0}
        return Summary("float", "float", {**record, "bits": 32, "average_bits": means, "label": "float"})
    means = average_bits(network, image_size)
    label = f"W{means['weights']:.3f} A{means['activations']:.3f}"
    headline = f"{record['network']}, {label}, first and last layer 8 bits"
    return Summary(headline, label, {**record, "bits": label, "average_bits": means, "label": label})
