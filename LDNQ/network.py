"""The networks and the layers that LDNQ quantizes."""

from mindspore import nn

from common.models.layers import weighted_layers
from common.models.registry import MODELS

MODEL_NAMES = tuple(name for name in MODELS if name.startswith("resnet"))


def quantized_layers(network: nn.Cell, first_and_last: bool = True) -> dict[str, nn.Cell]:
    """The layers to quantize, in the order of the cascade; without the first and the last if so wished."""
    names = list(layers := weighted_layers(network))
    return layers if first_and_last else {name: layers[name] for name in names[1:-1]}
