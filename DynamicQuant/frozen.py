"""Frozen networks for evaluation: the latent weights of a network in training, quantized once for each width."""

from dataclasses import replace
from pathlib import Path

from mindspore import nn

from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model
from common.runtime import context
from common.stored.network import StoredNetwork
from common.stored.quantized_layers import belongs
from DynamicQuant import packing, storage
from DynamicQuant.any_network import conversion
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.quant_config import QuantConfig


def config_of(stored: StoredNetwork) -> QuantConfig | None:
    """Quantization settings of a network; None for a float one."""
    return None if stored.kind == "float" else QuantConfig(**stored.metadata["settings"])


def frozen_twin(stored: StoredNetwork) -> nn.Cell:
    """A network of the same kind for evaluation; :func:`freeze` fills it."""
    network = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    config = config_of(stored)
    return conversion(config)(network, config, frozen=True)


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


def load_frozen(path: str | Path, architecture: str, num_classes: int | None = None) -> StoredNetwork:
    """Read a network of any kind to evaluate it; arguments and errors as :meth:`common.stored.format.Format.load`."""
    return frozen(storage.load(path, architecture, num_classes))


def load_dynamic(path: str | Path, architecture: str, num_classes: int | None = None) -> StoredNetwork:
    """Read a network whose layers choose their bits, to evaluate it; arguments as of :func:`load_frozen`.

    Raises:
        CheckpointError: the file holds a static or a float one, or cannot be read.
    """
    stored = storage.load(path, architecture, num_classes)
    if not isinstance(stored.network, DynamicNetwork):
        kind = "a float one" if stored.kind == "float" else f"a static one of {config_of(stored).bits} bits"
        raise CheckpointError(f"{path}: expected a dynamic network, found {kind}; train one with train.py")
    return frozen(stored)


def continued(stored: StoredNetwork, config: QuantConfig, path: str | Path, seed: int) -> tuple[nn.Cell, QuantConfig]:
    """A network to train that goes on from a quantized one, and its settings.

    A static one gives its weights, BatchNorm and clips to a network of any config; a dynamic one goes on as it is.

    Args:
        stored: latent network.
        config: quantization settings of the network to train.
        path: path of the file, for messages.
        seed: seed of the noise in training.

    Raises:
        CheckpointError: a dynamic network of another config.
    """
    recorded = config_of(stored)
    config = replace(config, stage=recorded.stage, signed=recorded.signed, ends=recorded.ends)
    if recorded.static:
        state = network_state.state(stored.network)
        network = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
        network_state.restore(network, {name: value for name, value in state.items() if ".quantize_" not in name})
        layers = packing.quantized_layers(stored.network)
        clips = {name: float(layer.quantize_input.clip.asnumpy()[0]) for name, layer in layers.items()}
        return conversion(config)(network, config, clips, seed=seed), config
    if recorded != config:
        raise CheckpointError(
            f"{path}: expected a static network, or a dynamic one of {config.bits} bits and {config.quantizer}, "
            f"found a dynamic one of {recorded.bits} bits and {recorded.quantizer}; change --bits or --quantizer"
        )
    return stored.network, config
