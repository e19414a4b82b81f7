"""DynamicQuant's networks in files, see :mod:`common.stored.network`, and frozen ones of networks in training."""

from pathlib import Path
from typing import Any

from mindspore import nn

from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model
from common.runtime import context
from common.stored.format import Format
from common.stored.network import StoredNetwork
from common.stored.quantized_layers import belongs
from common.stored.shipped import FLOAT, Shipped
from DynamicQuant import packing
from DynamicQuant.network import DynamicNetwork, Settings, quantize_network
from DynamicQuant.published import METHOD, published_network


def _quantize(network: nn.Cell, settings: dict[str, Any], frozen: bool) -> nn.Cell:
    return quantize_network(network, Settings(**settings), frozen=frozen)


FORMAT = Format(
    METHOD,
    _quantize,
    packing.integer_layers,
    packing.layer_shapes,
    packing.layer_tensors,
    packing.training_only,
    published=published_network,
)
load, load_latent = FORMAT.load, FORMAT.load_latent
shipped = Shipped({"packed": "DynamicQuant/checkpoints/resnet20_dynamic3_{dataset}.ckpt", "float": FLOAT})


def settings_of(stored: StoredNetwork) -> Settings | None:
    """How a network is quantized; None for a float one."""
    return None if stored.kind == "float" else Settings(**stored.metadata["settings"])


def load_dynamic(path: str | Path, model_name: str) -> StoredNetwork:
    """Read a network whose layers choose their bits.

    Raises:
        CheckpointError: the file holds a static or a float one.
    """
    stored = load(path, model_name)
    if not isinstance(stored.network, DynamicNetwork):
        found = "a float one" if stored.kind == "float" else f"a static one of {settings_of(stored).bits} bits"
        raise CheckpointError(f"{path}: expected a dynamic network, found {found}; train one with train.py")
    return stored


def continued(stored: StoredNetwork, settings: Settings, path: str | Path, seed: int) -> nn.Cell:
    """A network to train that goes on from a quantized one.

    A static one gives its weights, BatchNorm and clips to a network of any settings; a dynamic one goes on as it is.

    Args:
        stored: with latent weights.
        settings: of the network to train.
        path: of the file, for messages.
        seed: of the noise in training.

    Raises:
        CheckpointError: a dynamic network of other settings.
    """
    found = settings_of(stored)
    if found.static:
        state = network_state.state(stored.network)
        network = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
        network_state.restore(network, {name: value for name, value in state.items() if ".quantize_" not in name})
        layers = packing.quantized_layers(stored.network)
        clips = {name: float(layer.quantize_input.clip.asnumpy()[0]) for name, layer in layers.items()}
        return quantize_network(network, settings, clips, seed=seed)
    if found != settings:
        raise CheckpointError(
            f"{path}: expected a static network, or a dynamic one of {settings.bits} bits and {settings.quantizer}, "
            f"found a dynamic one of {found.bits} bits and {found.quantizer}; change --bits or --quantizer"
        )
    return stored.network


def frozen_twin(stored: StoredNetwork) -> nn.Cell:
    """A network of the same kind for evaluation; :func:`freeze` fills it."""
    network = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    return quantize_network(network, settings_of(stored), frozen=True)


def freeze(network: nn.Cell, twin: nn.Cell) -> nn.Cell:
    """Quantize the weights of a network in training once for each width, into a frozen one; returns that."""
    with context.execution_mode("pynative"):
        layers = packing.integer_layers(network)
    state = {name: value for name, value in network_state.state(network).items() if not packing.training_only(name)}
    rest = {name: value for name, value in state.items() if not belongs(name, layers)}
    network_state.restore(twin, {**rest, **packing.layer_tensors(twin, layers)})
    return twin.set_train(False)


def frozen(stored: StoredNetwork) -> StoredNetwork:
    """The same network with weights that are not quantized anew in each batch."""
    if stored.kind != "latent":
        return stored
    return StoredNetwork(freeze(stored.network, frozen_twin(stored)), stored.metadata)


def save_packed(path: str | Path, stored: StoredNetwork, bias: Any = None) -> None:
    """Write a quantized network with its codes packed, without what only training needs.

    Args:
        path: of the file.
        stored: with latent weights.
        bias: of the controller's last layer, float32, in the place of the one of training.

    Raises:
        CheckpointError: the file cannot be written.
    """
    FORMAT.save_packed(path, stored, None if bias is None else {"controller.last.bias": bias})
