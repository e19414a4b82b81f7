"""Quantized adder ResNets for 32 x 32 images, to be evaluated; float ones are in :mod:`common.models.adder`."""

from functools import partial

from mindspore import nn

from AdderQuant.quant import QuantAdder2d
from common.models.adder import Adder2d, adder_resnet
from common.models.resnet_cifar import BasicBlock, ResNetCifar

# The names of ``--network``, and ours in common.models.registry.
ARCHITECTURES = {"resnet20": "adder_resnet20", "resnet32": "adder_resnet32"}
_DEPTHS = {"adder_resnet20": 20, "adder_resnet32": 32}


def quant_adder_resnet(
    network: str = "adder_resnet20",
    num_classes: int = 10,
    groups: int = 4,
    fused: bool = True,
    native: bool | None = None,
) -> ResNetCifar:
    """Quantized adder ResNet, to be filled by calibration or from a calibrated checkpoint.

    Args:
        network: ``adder_resnet20`` or ``adder_resnet32``.
        num_classes: length of the logits.
        groups: scale groups that each layer can have, 1 to 8.
        fused: compute each layer with its BatchNorm, residual and ReLU in one operator (inference only). The same
            parameters either way; logits agree to float rounding.
        native: force or forbid the C++ kernels; None chooses.
    """
    conv = partial(QuantAdder2d, groups=groups, native=native)
    return adder_resnet(_DEPTHS[network], num_classes, conv, FusedBlock if fused else BasicBlock)


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


def adder_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """The adder layers of a network by name, float or quantized, in the order of their construction."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, Adder2d | QuantAdder2d)}
