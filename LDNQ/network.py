"""The networks and the layers that LDNQ quantizes."""

from mindspore import nn

from common.models.registry import MODELS
from common.quant.quantizable import ends_of, quantizable_layers
from LDNQ.quant_config import QuantConfig

MODEL_NAMES = (*[name for name in MODELS if name.startswith("resnet")], "mobilenet_v2")


def quantized_layers(network: nn.Cell, config: QuantConfig) -> dict[str, nn.Cell]:
    """The layers to quantize, in the order of the network's description.

    Raises:
        ConfigError: a layer that cannot be quantized, named with the reason.
    """
    layers = quantizable_layers(network)
    if config.first_and_last:
        return layers
    ends = config.ends or ends_of(layers)
    return {name: layer for name, layer in layers.items() if name not in ends}
