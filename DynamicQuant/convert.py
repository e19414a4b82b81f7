"""A float ResNet to a network whose layers choose their bits, or to the static one it is compared with."""

from collections.abc import Iterable, Mapping

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.evaluation import cost
from common.models.layers import weighted_layers
from common.quant.calibration import best_clip, sample_inputs
from common.quant.conversion import replace_cells
from DynamicQuant.network import CHOOSING_STAGES, DynamicNetwork, DynamicResNet
from DynamicQuant.quant import DynamicConv2d, static_conv2d
from DynamicQuant.quant_config import QuantConfig

_VALUES = 1 << 17  # of a layer's inputs that one batch adds to its calibration


def inner_layers(network: nn.Cell) -> list[str]:
    """Names of the convolutions of a float network that are quantized: all but the first and last layer."""
    names = list(weighted_layers(network))
    if len(names) < 3 or not hasattr(network, "layer1"):
        raise ConfigError(f"expected a ResNet with stages layer1, layer2, ..., found {type(network).__name__}")
    return names[1:-1]


def chooses(name: str, config: QuantConfig) -> bool:
    """Whether a layer that is quantized chooses its bits."""
    place = name.split(".")[0] in CHOOSING_STAGES and (config.dynamic_shortcuts or "downsample" not in name)
    return place and not config.static


def quantize_network(
    network: nn.Cell,
    config: QuantConfig,
    clips: Mapping[str, float] | None = None,
    frozen: bool = False,
    seed: int = 0,
) -> nn.Cell:
    """Quantize a float ResNet of :mod:`common.models.registry`, keeping its weights; it cannot be used by itself then.

    The first convolution and the last linear layer stay float. The first stage and the 1 x 1 convolutions of shortcuts
    have t bits (shortcuts: unless ``dynamic_shortcuts``), all other convolutions choose.

        network = quantize_network(model("resnet20").build(10), QuantConfig(bits=4))

    Args:
        network: float.
        config: how to quantize.
        clips: first clips of activations by layer; 1 where none is given.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.
        seed: of the noise that training draws.

    Returns:
        A network of images to logits: :class:`DynamicResNet`, or the same one if static.

    Raises:
        ConfigError: a network of another kind, or images too small for the controller.
    """
    macs, cells, clips = layer_macs(network, config.image_size), {}, clips or {}
    floats = weighted_layers(network)
    for name in macs:
        options = {"clip": clips.get(name, 1.0), "learned": config.learned_clip, "frozen": frozen}
        if chooses(name, config):
            cells[name] = DynamicConv2d(floats[name], config.candidates, **options)
        else:
            cells[name] = static_conv2d(floats[name], config.bits, **options)
    last_block = list(network.layer1.cells())[-1]
    channels = getattr(last_block, "bn3", last_block.bn2).num_features
    replace_cells(network, cells)
    if config.static:
        return network
    dynamic = DynamicResNet(network, config, channels, None if frozen else seed, macs)
    return replace_cells(dynamic, {})  # names its parameters by their places


def layer_macs(network: nn.Cell, image_size: int) -> dict[str, int]:
    """Multiply-accumulates of one image in each layer that is quantized, by name, of a float network."""
    inner = set(inner_layers(network))
    return {layer.name: layer.macs for layer in cost.trace(network, (3, image_size, image_size)) if layer.name in inner}


def calibrate(network: nn.Cell, images: Iterable[np.ndarray], bits: int) -> dict[str, float]:
    """Clips with the least squared error at ``bits``, of the inputs of all layers that are quantized.

    Args:
        network: float.
        images: batches (N, 3, H, W).
        bits: of the activations.

    Raises:
        DataError: there is no image.
    """
    cells = dict(network.cells_and_names())
    layers = {name: cells[name] for name in inner_layers(network)}
    inputs = sample_inputs(network, layers, images, lambda x: x.ravel()[:: max(1, x.size // _VALUES)].copy())
    return {name: best_clip(values, bits) for name, values in inputs.items()}


def set_controller_bias(network: DynamicNetwork, bias: np.ndarray) -> None:
    """Set the last bias of the controller: (L, K)."""
    network.controller.last.bias.set_data(Tensor(bias.astype(np.float32).ravel()))
