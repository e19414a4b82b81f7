"""Float and quantized LDNQ networks in files: codes packed to their bits, scales, everything else in float."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common import checkpoint
from common.errors import CheckpointError, ConfigError
from LDNQ.levels import LEVEL_COUNTS, code_bits, signed_levels, to_codes
from LDNQ.network import MODELS, model, weighted_layers

METHOD = "LDNQ"


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


def load(path: str | Path, model_name: str = "ResNet20", num_classes: int | None = None) -> StoredNetwork:
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
        checkpoint.require_metadata(found, method=METHOD, **({"num_classes": num_classes} if num_classes else {}))
        metadata, tensors = dict(found.metadata), found.tensors
        if metadata.get("network") not in MODELS:
            raise CheckpointError(f"{path}: expected a network of {', '.join(MODELS)}, found {metadata.get('network')}")
    else:
        tensors = {model(model_name).published_name(name): value for name, value in found.tensors.items()}
        metadata = {"method": METHOD, "kind": "float", "network": model_name}
        metadata["num_classes"] = num_classes or _classes(tensors)
    layers, tensors = _separated(tensors, metadata, path)
    network = model(metadata["network"]).build(metadata["num_classes"])
    _fill(network, layers, tensors, path)
    return StoredNetwork(network, metadata, layers)


def _classes(tensors: dict[str, np.ndarray]) -> int:
    bias = tensors.get("head.fc.bias", tensors.get("fc.bias", np.zeros(10)))
    return len(np.atleast_1d(bias))


def _separated(
    tensors: dict[str, np.ndarray], metadata: dict[str, Any], path: str | Path
) -> tuple[dict[str, LayerLevels], dict[str, np.ndarray]]:
    """The quantized layers, and the tensors of everything else."""
    if metadata.get("kind") != "quantized":
        return {}, tensors
    if metadata.get("kbits") not in LEVEL_COUNTS:
        raise CheckpointError(f"{path}: expected a number of levels of {LEVEL_COUNTS}, found {metadata.get('kbits')}")
    rest, levels = dict(tensors), signed_levels(metadata["kbits"])
    names = [name.removesuffix(".weight.codes") for name in tensors if name.endswith(".weight.codes")]
    layers = {}
    for name in names:
        weight, bias, scale = (rest.pop(f"{name}.{part}", None) for part in ("weight.codes", "bias.codes", "scale"))
        parts = [part for part in (weight, bias) if part is not None]
        if scale is None or scale.shape not in ((1,), weight.shape[:1]) or any(p.max() >= len(levels) for p in parts):
            raise CheckpointError(f"{path}: layer {name}: expected codes 0 to {len(levels) - 1} and a scale, found others")
        layers[name] = LayerLevels(levels[weight], None if bias is None else levels[bias], scale)
    return layers, rest


def _fill(network: nn.Cell, layers: dict[str, LayerLevels], rest: dict[str, np.ndarray], path: str | Path) -> None:
    tensors = dict(rest)
    for name, layer in layers.items():
        weight, bias = layer.values()
        tensors[f"{name}.weight"] = weight
        if bias is not None:
            tensors[f"{name}.bias"] = bias
    checkpoint.restore(network, tensors, path)


def save(path: str | Path, stored: StoredNetwork) -> None:
    """Write a network with its metadata; the codes of a quantized one are packed to their bits.

    Raises:
        CheckpointError: the file cannot be written.
    """
    tensors, packed = to_tensors(stored)
    checkpoint.save(path, tensors, {"method": METHOD, **stored.metadata}, packed)


def to_tensors(stored: StoredNetwork) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The tensors of a file, and the bits of those that are codes."""
    tensors, packed = checkpoint.state(stored.network), {}
    for name, layer in stored.layers.items():
        for part in ("weight", "bias"):
            levels = getattr(layer, part)
            if levels is not None:
                del tensors[f"{name}.{part}"]
                tensors[f"{name}.{part}.codes"] = to_codes(levels, stored.kbits)
                packed[f"{name}.{part}.codes"] = code_bits(stored.kbits)
        tensors[f"{name}.scale"] = layer.scale
    return tensors, packed


def assign(network: nn.Cell, layers: dict[str, LayerLevels]) -> None:
    """Give the layers of a network the values of their levels."""
    cells = weighted_layers(network)
    for name, layer in layers.items():
        weight, bias = layer.values()
        cells[name].weight.set_data(Tensor(weight))
        if bias is not None:
            cells[name].bias.set_data(Tensor(bias))


def embedded(dataset: str, kind: str = "quantized") -> Path:
    """The checkpoint that ships with the repository for a data set: ``quantized`` (ternary) or ``float``.

    Raises:
        ConfigError: there is none.
    """
    name = {"quantized": f"ternary_resnet20_{dataset}.ckpt", "float": f"resnet20_{dataset}.ckpt"}[kind]
    path = Path(__file__).parent / "checkpoints" / name
    if not path.exists():
        raise ConfigError(f"checkpoint_path: no {kind} checkpoint is shipped for {dataset}; give the path of one")
    return path
