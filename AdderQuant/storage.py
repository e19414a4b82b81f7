"""Float and calibrated adder networks in files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindspore import nn

from AdderQuant.network import ARCHITECTURES, adder_layers, quant_adder_resnet
from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model, recorded_architecture
from common.stored.shipped import Shipped

METHOD = "AdderQuant"
embedded = Shipped({"float": "AdderQuant/checkpoints/adder_resnet20_{dataset}.ckpt"})


@dataclass(frozen=True)
class StoredNetwork:
    """A network from a file.

    Attributes:
        network: float or quantized.
        metadata: ``method``, ``kind`` (float or quantized), ``network``, ``num_classes`` and what else was recorded.
    """

    network: nn.Cell
    metadata: dict[str, Any]

    @property
    def quantized(self) -> bool:
        """Whether the file holds a calibrated network."""
        return self.metadata["kind"] == "quantized"


def load(path: str | Path, network: str = "adder_resnet20", num_classes: int | None = None) -> StoredNetwork:
    """Read a network; ``.ckpt`` and ``.safetensors`` of this project, or a published ``.pth`` or ``.ckpt``.

    Args:
        path: of the file.
        network: where the file does not record it.
        num_classes: expected class count; None takes what the file records, else 10.

    Raises:
        CheckpointError: the file is missing, damaged, or of another method, network or class count.
    """
    found = checkpoint.load(path)
    metadata = {"method": METHOD, "kind": "float", "network": network, "num_classes": num_classes or 10}
    metadata |= found.metadata
    metadata["network"] = recorded_architecture(metadata)
    tensors = found.tensors
    if found.metadata:
        checkpoint.require_metadata(found, method=METHOD, **({"num_classes": num_classes} if num_classes else {}))
    if metadata["network"] not in ARCHITECTURES.values():
        names = ", ".join(ARCHITECTURES.values())
        raise CheckpointError(f"{path}: expected a network of {names}, found {metadata['network']!r}")
    if not found.metadata:
        tensors = model(metadata["network"]).from_published(tensors)
    built = build(metadata)
    network_state.restore(built, tensors, path)
    return StoredNetwork(built, metadata)


def build(metadata: dict[str, Any]) -> nn.Cell:
    """The network that metadata describe, to be filled."""
    if metadata["kind"] == "quantized":
        return quant_adder_resnet(metadata["network"], metadata["num_classes"], metadata["groups"])
    return model(metadata["network"]).build(metadata["num_classes"])


def save(path: str | Path, network: nn.Cell, metadata: dict[str, Any]) -> None:
    """Write a network with its metadata; the codes of a quantized one are packed to their bits."""
    checkpoint.save(path, network_state.state(network), {"method": METHOD, **metadata}, packed_codes(network))


def packed_codes(network: nn.Cell) -> dict[str, int]:
    """Names of the code tensors of a network and the bits each code is stored in."""
    layers = adder_layers(network)
    return {f"{name}.codes": layer.bits for name, layer in layers.items() if hasattr(layer, "codes")}
