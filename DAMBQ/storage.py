"""Networks of DAMBQ in files: float ones, training states with latent weights, and packed ones to use.

=========  ==================================================================  ======================================
kind       holds                                                               made by
=========  ==================================================================  ======================================
float      a float network of any method, or a published state file            ``train.py``
quantized  latent weights, scales, bits, clips: training goes on from it       ``best.ckpt`` of ``train.py --quantize``
packed     level numbers in as many bits as each channel has, scales, clips    the end of ``train.py --quantize``
=========  ==================================================================  ======================================
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindspore import nn

from common import checkpoint
from common.errors import CheckpointError, ConfigError
from common.models.pretrained import from_published
from common.models.registry import MODELS, model
from common.shipped import float_path, shipped
from DAMBQ import packing
from DAMBQ.network import Settings, quantize_network

METHOD = "DAMBQ"
KINDS = ("float", "quantized", "packed")


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network from a file.

    Attributes:
        network: ready to evaluate; a ``quantized`` one also to be trained.
        metadata: ``kind``, ``network``, ``num_classes``, ``settings`` of a quantized one, and what else was recorded.
    """

    network: nn.Cell
    metadata: dict[str, Any]

    @property
    def kind(self) -> str:
        """``float``, ``quantized`` or ``packed``."""
        return self.metadata["kind"]


def load(path: str | Path, model_name: str = "ResNet20", num_classes: int | None = None) -> StoredNetwork:
    """Read a network of any kind.

    Args:
        path: of the file.
        model_name: of a published state file; otherwise the file records it.
        num_classes: what the file must have; None takes any.

    Raises:
        CheckpointError: the file is missing, damaged, or not of this method, network or class count.
    """
    found = checkpoint.load(path)
    tensors, metadata = (found.tensors, dict(found.metadata)) if found.metadata else from_published(found, model_name)
    if metadata.get("kind") not in KINDS or metadata.get("network") not in MODELS:
        own = "the state of a training run" if "run" in metadata else "something else"
        raise CheckpointError(f"{path}: expected a {', '.join(KINDS)} network, found {own}; give best.ckpt of a run")
    classes = metadata.get("num_classes")
    if not isinstance(classes, int) or classes < 1:
        raise CheckpointError(f"{path}: expected num_classes of at least 1 in the metadata, found {classes!r}")
    if metadata["kind"] != "float":
        checkpoint.require_metadata(found, method=METHOD)
    if num_classes not in (None, classes):
        raise CheckpointError(f"{path}: expected num_classes {num_classes}, found {classes}")
    network = model(metadata["network"]).build(classes)
    if metadata["kind"] == "float":
        checkpoint.restore(network, tensors, path)
        return StoredNetwork(network, metadata)
    frozen = metadata["kind"] == "packed"
    quantize_network(network, _settings(metadata, path), frozen)
    if frozen:
        tensors = packing.unpack(network, tensors, metadata, path)
    checkpoint.restore(network, tensors, path)
    return StoredNetwork(network, metadata)


def _settings(metadata: dict[str, Any], path: str | Path) -> Settings:
    try:
        return Settings(**metadata["settings"])
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: expected settings of a DAMBQ network, found none that fit ({error})") from None


def load_quantized(path: str | Path, model_name: str) -> StoredNetwork:
    """Read a quantized network to train further.

    Raises:
        CheckpointError: the file holds a float network, a packed one (which has no latent weights) or another model.
    """
    stored = load(path, model_name)
    if stored.kind != "quantized":
        advice = "give it as --pretrained" if stored.kind == "float" else "give best.ckpt of the run that made it"
        raise CheckpointError(
            f"{path}: resume expects a quantized network to train, found a {stored.kind} one; {advice}"
        )
    if stored.metadata["network"] != model_name:
        found = stored.metadata["network"]
        raise CheckpointError(f"{path}: expected {model_name}, found {found}; change --arch")
    return stored


def save_packed(path: str | Path, stored: StoredNetwork) -> None:
    """Write a quantized network with its codes packed, without what only training needs.

    Raises:
        CheckpointError: the file cannot be written.
    """
    tensors, packed, layout = packing.pack(stored.network, stored.metadata["settings"]["table"])
    checkpoint.save(path, tensors, {**stored.metadata, **layout, "kind": "packed"}, packed)


def settings_metadata(settings: Settings) -> dict[str, Any]:
    """What a file records of the settings."""
    return asdict(settings)


def embedded(dataset: str, kind: str = "packed") -> Path:
    """The checkpoint that ships with the repository for a data set: ``packed`` or ``float``.

    Raises:
        ConfigError: there is none.
    """
    own = Path(__file__).parent / "checkpoints" / f"resnet20_w2a2_{dataset}.ckpt"
    return shipped({"packed": own, "float": float_path(dataset)}[kind], dataset, kind)
