"""Figures of an AdderNet in a report beside its accuracy: settings and cost."""

from pathlib import Path
from typing import Any

from AdderQuant import storage
from AdderQuant.network import adder_layers
from AdderQuant.quant_config import QuantConfig
from common.checkpoint import network_state
from common.cli.evaluation import Summary
from common.evaluation import cost
from common.models.registry import model
from common.stored.network import StoredNetwork


def network_cost(stored: StoredNetwork) -> dict[str, Any]:
    """Bytes, average bits and operations of a network, float or calibrated."""
    plain = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    bits = {} if stored.kind == "float" else {n: layer.bits for n, layer in adder_layers(stored.network).items()}
    layers = cost.trace(plain, (3, 32, 32), adder_layers(plain), {name: (k, k) for name, k in bits.items()})
    packed = {f"{name}.codes": k for name, k in bits.items()}
    return cost.summary(layers, cost.stored_bytes(network_state.state(stored.network), packed))


def summarize(stored: StoredNetwork, _path: Path, _image_size: int) -> Summary:
    """Method, network, settings and cost of a network; its file and the side of its images are not needed."""
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    if stored.kind == "float":
        settings, headline = {"bits": 32, "reestimated": stored.metadata.get("reestimated", False)}, "float"
    else:
        config = QuantConfig(**stored.metadata["settings"])
        settings = {"bits": config.bits, "scheme": config.scheme, "groups": config.scale_groups}
        settings["reestimated"] = config.reestimate
        headline = f"{record['network']}, {config.bits} bits, {config.scheme}, first and last layer float"
    return Summary(headline, f"{settings['bits']} bits", {**record, **settings, "cost": network_cost(stored)})
