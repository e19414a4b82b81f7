"""Figures of a network of LDNQ in a report beside its accuracy."""

from pathlib import Path

from common.cli.evaluation import Summary
from common.evaluation import cost
from common.quant.integer_weight import IntegerLayer
from common.stored.network import StoredNetwork
from LDNQ import storage


def summarize(stored: StoredNetwork, path: Path, image_size: int) -> Summary:
    """Method, network, levels, bits of a weight as stored, and cost.

    Args:
        stored: network with its metadata.
        path: file of the network.
        image_size: side of the images in pixels.
    """
    settings, training = (stored.metadata.get(key, {}) for key in ("settings", "training"))
    bits = {name: (int(layer.weights[0].bits[0]), _input_bits(layer)) for name, layer in stored.layers.items()}
    layers = cost.trace(stored.network, (3, image_size, image_size), bits=bits, products=list(bits))
    most = max((width for width, _ in bits.values()), default=32)
    label = f"{settings['levels']} levels" if bits else "float"
    if act_bits := activation_bits(stored):
        label += f", activations {act_bits} bits"
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    record |= {key: settings.get(key) for key in ("levels", "granularity")}
    record |= {"images": training.get("images"), "bits": most, "label": label}
    record["act_bits"] = act_bits or 32
    record["cost"] = cost.summary(layers, path.stat().st_size)
    return Summary(f"{record['network']}, {label}, {most} bits per weight as stored", label, record)


def activation_bits(stored: StoredNetwork) -> int | None:
    """Bits of a network's activations; None: float."""
    return max((int(grid.bits[0]) for layer in stored.layers.values() for grid in layer.grids), default=None)


def _input_bits(layer: IntegerLayer) -> int:
    """Bits of a layer's input, 32 of a float one."""
    return int(layer.grids[0].bits[0]) if layer.grids else 32
