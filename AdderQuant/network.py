"""Adder layers of a network by name, and fused blocks of them: additions to :mod:`common.models.adder`."""

from mindspore import nn

from AdderQuant.quant import QuantAdder2d
from common.models.adder import Adder2d
from common.models.resnet_cifar import BasicBlock

ARCHITECTURES = ("adder_resnet20", "adder_resnet32")


class FusedBlock(nn.Cell):
    """A basic block of quantized adder layers, each one operator with what follows it.

    Args:
        block: basic block of quantized layers, whose cells and names are taken over.
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
