"""Pre-activation ResNets for 32 x 32 images (He et al., Identity Mappings in Deep Residual Networks, ECCV 2016).

Norm and activation come before each convolution, so that the sum of a block goes on untouched. Parameter names are as
in :mod:`common.models.resnet_cifar`: ``layer1.0.conv1.weight``, ``layer2.0.downsample.weight``, ``bn.gamma``,
``head.fc.weight``.
"""

from mindspore import nn

from common.models.layers import Layers, check_depth
from common.models.norm_act import conv_norm_act, norm_act
from common.models.resnet_cifar import DEPTHS, DenseHead


class PreActBlock(nn.Cell):
    """norm-act-conv twice plus the shortcut: (N, C, H, W) to (N, F, H / stride, W / stride).

    With a = act1(bn1(x)):  y = conv2(act2(bn2(conv1(a)))) + shortcut,  the shortcut being x where the shape stays and
    ``downsample(a)``, a 1 x 1 convolution without norm, where it changes.

    Args:
        channels: number of input channels C.
        filters: number of output channels F.
        stride: stride of the first convolution and of the shortcut.
        layers: factories of the layers.
    """

    def __init__(self, channels: int, filters: int, stride: int, layers: Layers):
        super().__init__()
        self.bn1 = layers.norm(channels)
        self.act1 = layers.act()
        self.conv1 = layers.conv(channels, filters, 3, stride, 1)
        self.bn2 = layers.norm(filters)
        self.act2 = layers.act()
        self.conv2 = layers.conv(filters, filters, 3, 1, 1)
        self.downsample = None
        if stride != 1 or channels != filters:
            self.downsample = layers.conv(channels, filters, 1, stride, 0)

    def construct(self, x):
        active = norm_act(self.bn1, self.act1, x)
        shortcut = x if self.downsample is None else self.downsample(active)
        return self.conv2(conv_norm_act(self.conv1, self.bn2, self.act2, active)) + shortcut


class PreActResNetCifar(nn.Cell):
    """Stem, three stages of 16, 32 and 64 filters, norm, act, head: (N, 3, 32, 32) to logits (N, num_classes).

    The very first block treats its shortcut as all others do; in the paper's appendix it activates before the split.

    Args:
        depth: 20, 32, 44, 56 or 110 (6 n + 2).
        num_classes: length of the logits.
        layers: factories of the layers.

    Raises:
        ConfigError: another depth.
    """

    def __init__(self, depth: int, num_classes: int = 10, layers: Layers | None = None):
        super().__init__()
        check_depth(depth, DEPTHS)
        layers = layers or Layers()
        blocks = (depth - 2) // 6
        self.conv1 = layers.stem(3, 16, 3, 1, 1)
        self.layer1 = _stage(16, 16, 1, blocks, layers)
        self.layer2 = _stage(16, 32, 2, blocks, layers)
        self.layer3 = _stage(32, 64, 2, blocks, layers)
        self.bn = layers.norm(64)
        self.act = layers.act()
        self.head = DenseHead(64, num_classes)

    def construct(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.head(norm_act(self.bn, self.act, x))


def _stage(channels: int, filters: int, stride: int, count: int, layers: Layers) -> nn.SequentialCell:
    first = PreActBlock(channels, filters, stride, layers)
    return nn.SequentialCell(first, *[PreActBlock(filters, filters, 1, layers) for _ in range(count - 1)])
