"""Float and quantized LDNQ networks in files: codes packed to their bits, scales, everything else in float."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model, recorded_architecture
from common.stored import float_network as pretrained
from common.stored.shipped import FLOAT, Shipped
from LDNQ.levels import LEVEL_COUNTS, code_bits, signed_levels, to_codes
from LDNQ.network import MODEL_NAMES

METHOD = "LDNQ"
embedded = Shipped({"quantized": "LDNQ/checkpoints/ternary_resnet20_{dataset}.ckpt", "float": FLOAT})


@dataclass(frozen=True, eq=False)
class LayerLevels:
    """One quantized layer.

    Attributes:
        weight: levels of the weights, in their shape.
        bias: levels of the bias (F,), or None.
        scale: (F,) one of each row, or (1,) of all; float32.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    scale: np.ndarray

    def values(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Weights and bias as the network computes with them, float32."""
        scale = self.scale.reshape(-1, *[1] * (self.weight.ndim - 1))
        weight = scale * self.weight.astype(np.float32)
        return weight, None if self.bias is None else self.scale * self.bias.astype(np.float32)


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network from a file.

    Attributes:
        network: ready to evaluate.
        metadata: ``method``, ``kind`` (float or quantized), ``network``, ``num_classes`` and what else was recorded.
        layers: name to levels of the quantized layers; empty for a float network.
    """

    network: nn.Cell
    metadata: dict[str, Any]
    layers: dict[str, LayerLevels]

    @property
    def kbits(self) -> int | None:
        """Number of levels; None for a float network."""
        return self.metadata.get("kbits")


def load(path: str | Path, model_name: str = "resnet20", num_classes: int | None = None) -> StoredNetwork:
    """Read a network; ``.ckpt`` and ``.safetensors`` of this project, or a published ``.pth`` / ``.th``.

    Args:
        path: of the file.
        model_name: where the file does not record it; otherwise it is not used.
        num_classes: expected class count; None takes what the file records, else what its last layer has.

    Raises:
        CheckpointError: the file is missing, damaged, or of another method, network or class count.
    """
    found = checkpoint.load(path)
    if found.metadata:
        of_any = found.metadata.get("kind") == "float"  # networks of all methods are alike before they are quantized
        required = {} if of_any else {"method": METHOD}
        checkpoint.require_metadata(found, **required, **({"num_classes": num_classes} if num_classes else {}))
        metadata, tensors = dict(found.metadata), found.tensors
        metadata["network"] = recorded_architecture(metadata)
        if metadata["network"] not in MODEL_NAMES:
            names = ", ".join(MODEL_NAMES)
            raise CheckpointError(f"{path}: expected a network of {names}, found {metadata['network']}")
    else:
        tensors, metadata = pretrained.from_published(found, model_name)
        metadata = {"method": METHOD, **metadata, "num_classes": num_classes or metadata["num_classes"]}
    layers, tensors = _separated(tensors, metadata, path)
    network = model(metadata["network"]).build(metadata["num_classes"])
    _fill(network, layers, tensors, path)
    return StoredNetwork(network, metadata, layers)


def load_float(path: str | Path, model_name: str) -> StoredNetwork:
    """Read a float network of a model, to start from.

    Raises:
        CheckpointError: as of :func:`common.stored.float_network.load_float`.
    """
    found = pretrained.load_float(path, model_name)
    return StoredNetwork(found.network, found.metadata, {})


def _separated(
    tensors: dict[str, np.ndarray], metadata: dict[str, Any], path: str | Path
) -> tuple[dict[str, LayerLevels], dict[str, np.ndarray]]:
    """The quantized layers, and the tensors of everything else."""
    if metadata.get("kind") != "quantized":
        return {}, tensors
    if metadata.get("kbits") not in LEVEL_COUNTS:
        raise CheckpointError(f"{path}: expected a number of levels of {LEVEL_COUNTS}, found {metadata.get('kbits')}")
    rest, levels = dict(tensors), signed_levels(metadata["kbits"])
    names = sorted(name.removesuffix(".weight.codes") for name in tensors if name.endswith(".weight.codes"))
    sizes, scales = metadata.get("scales"), rest.pop("scales", np.zeros(0, np.float32))
    if not isinstance(sizes, list) or len(sizes) != len(names) or sum(sizes) != scales.size or scales.ndim != 1:
        raise CheckpointError(f"{path}: expected one scale, or one per row, of {len(names)} layers, found others")
    layers = {}
    for name, scale in zip(names, np.split(scales, np.cumsum(sizes)[:-1])):
        weight, bias = rest.pop(f"{name}.weight.codes"), rest.pop(f"{name}.bias.codes", None)
        largest = max(int(part.max()) for part in (weight, bias) if part is not None)
        if scale.shape not in ((1,), weight.shape[:1]) or largest >= len(levels):
            raise CheckpointError(f"{path}: layer {name}: expected codes below {len(levels)} and a scale, found others")
        layers[name] = LayerLevels(levels[weight], None if bias is None else levels[bias], scale)
    return layers, rest


def _fill(network: nn.Cell, layers: dict[str, LayerLevels], rest: dict[str, np.ndarray], path: str | Path) -> None:
    tensors = dict(rest)
    for name, layer in layers.items():
        weight, bias = layer.values()
        tensors[f"{name}.weight"] = weight
        if bias is not None:
            tensors[f"{name}.bias"] = bias
    network_state.restore(network, tensors, path)


def save(path: str | Path, stored: StoredNetwork) -> None:
    """Write a network with its metadata; the codes of a quantized one are packed to their bits.

    Raises:
        CheckpointError: the file cannot be written.
    """
    tensors, packed = to_tensors(stored)
    metadata = {"method": METHOD, **stored.metadata}
    if stored.layers:
        metadata["scales"] = [stored.layers[name].scale.size for name in sorted(stored.layers)]
    checkpoint.save(path, tensors, metadata, packed)


def to_tensors(stored: StoredNetwork) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The tensors of a file, and the bits of those that are codes."""
    tensors, packed = network_state.state(stored.network), {}
    for name, layer in stored.layers.items():
        for part in ("weight", "bias"):
            levels = getattr(layer, part)
            if levels is not None:
                del tensors[f"{name}.{part}"]
                tensors[f"{name}.{part}.codes"] = to_codes(levels, stored.kbits)
                packed[f"{name}.{part}.codes"] = code_bits(stored.kbits)
    if stored.layers:
        tensors["scales"] = np.concatenate([stored.layers[name].scale for name in sorted(stored.layers)])
    return tensors, packed
