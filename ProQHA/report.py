"""Figures of a network of ProQHA in a report beside its accuracy."""

from pathlib import Path

from common.cli.evaluation import Summary
from common.evaluation import cost
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork
from ProQHA import storage
from ProQHA.cost_model import cost_model
from ProQHA.quant import get_bits


def summarize(stored: StoredNetwork, path: Path, image_size: int) -> Summary:
    """Method, network, average bits and cost.

    Args:
        stored: network with its metadata.
        path: file of the network.
        image_size: side of the images in pixels.
    """
    network, names = stored.network, list(quant_layers(stored.network))
    pairs = [tuple(map(int, pair)) for pair in get_bits(network)]
    layers = cost.trace(network, (3, image_size, image_size), bits=dict(zip(names, pairs)), products=names)
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    record["cost"] = cost.summary(layers, path.stat().st_size)
    if not names:
        return Summary(f"{record['network']}, float", "float", {**record, "bits": 32, "label": "float"})
    totals = cost_model(network, image_size).summary(get_bits(network))
    label = f"W{totals['average_weight_bits']:.3f} A{totals['average_activation_bits']:.3f}"
    headline = f"{record['network']}, {label}, first and last layer and shortcuts float"
    return Summary(headline, label, {**record, "bits": label, "search": totals, "label": label})
