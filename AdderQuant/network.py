"""Adder ResNets for 32 x 32 images: float to train and calibrate, quantized to evaluate.

As in the published checkpoint every convolution but the first is an adder layer, the 1 x 1 shortcuts included; the
first convolution and the last 1 x 1 convolution (with BatchNorm behind it) stay float.
"""

from functools import partial

import numpy as np
from mindspore import nn

from AdderQuant.adder import Adder2d
from AdderQuant.quant import QuantAdder2d
from common.models.layers import Layers
from common.models.resnet_cifar import BasicBlock, ConvNormHead, ResNetCifar, published_name

DEPTHS = {"resnet20": 20, "resnet32": 32}
_QUANTIZER_STATE = (".adder_new", ".scale_para")


def _resnet(network: str, num_classes: int, conv, block=BasicBlock) -> ResNetCifar:
    return ResNetCifar(DEPTHS[network], num_classes, "conv", Layers(conv=conv), block, ConvNormHead)


def adder_resnet(network: str = "resnet20", num_classes: int = 10, native: bool | None = None) -> ResNetCifar:
    """Float adder ResNet: (N, 3, 32, 32) to logits (N, num_classes)."""
    return _resnet(network, num_classes, partial(Adder2d, native=native))


def quant_adder_resnet(
    network: str = "resnet20", num_classes: int = 10, groups: int = 4, fused: bool = True, native: bool | None = None
) -> ResNetCifar:
    """Quantized adder ResNet, to be filled by calibration or from a calibrated checkpoint.

    Args:
        network: ``resnet20`` or ``resnet32``.
        num_classes: length of the logits.
        groups: scale groups that each layer can have, 1 to 8.
        fused: compute each layer with its BatchNorm, residual and ReLU in one operator (inference only). The same
            parameters either way; logits agree to float rounding.
        native: force or forbid the C++ kernels; None chooses.
    """
    conv = partial(QuantAdder2d, groups=groups, native=native)
    return _resnet(network, num_classes, conv, FusedBlock if fused else BasicBlock)


class FusedBlock(nn.Cell):
    """A basic block of quantized adder layers, each one operator with what follows it.

    Args:
        block: its layers quantized; takes over its cells and their names.
    """

    def __init__(self, block: BasicBlock):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2
        self.downsample = block.downsample

    def construct(self, x):
        shortcut = x if self.downsample is None else self.downsample[0].fused(x, self.downsample[1], None, False)
        x = self.conv1.fused(x, self.bn1, None, True)
        return self.conv2.fused(x, self.bn2, shortcut, True)


def adder_published_name(name: str) -> str:
    """Our name of a parameter of the published AdderNet state files (``.adder`` weights)."""
    name = published_name(name)
    return name.removesuffix(".adder") + ".weight" if name.endswith(".adder") else name


def adder_published_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a published file by our names: PyTorch's (BatchNorm's names already converted) or MindSpore's.

    The latter also holds the state of its quantizers, which calibration makes anew; it is left out.
    """
    kept = {name: value for name, value in tensors.items() if not name.endswith(_QUANTIZER_STATE)}
    return {adder_published_name(name): value for name, value in kept.items()}


def adder_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """The adder layers of a network by name, float or quantized, in the order of their construction."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, Adder2d | QuantAdder2d)}
