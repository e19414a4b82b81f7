"""ResNets for ImageNet (He et al., CVPR 2016, table 1), built of any layers.

Parameter names are torchvision's, with MindSpore's names for BatchNorm: ``layer1.0.conv1.weight``,
``layer2.0.downsample.1.gamma``, ``fc.weight``. As there, a bottleneck strides in its 3 x 3 convolution.
"""

from mindspore import nn

from common.kernels.global_mean import GlobalMean
from common.kernels.max_pool import max_pool
from common.models.layers import Layers, check_depth
from common.models.norm_act import ConvNormActSequential, conv_norm_act, conv_norm_add_act, fork_conv_norm_act

DEPTHS = (18, 34, 50)
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def _shortcut(channels: int, filters: int, stride: int, layers: Layers) -> nn.Cell | None:
    """1 x 1 convolution and norm where the shape changes."""
    if stride == 1 and channels == filters:
        return None
    return ConvNormActSequential(layers.conv(channels, filters, 1, stride, 0), layers.norm(filters))


class BasicBlock(nn.Cell):
    """Two 3 x 3 convolutions and the shortcut: (N, C, H, W) to (N, width, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, layers: Layers):
        super().__init__()
        self.downsample = _shortcut(channels, width, stride, layers)
        self.conv1 = layers.conv(channels, width, 3, stride, 1)
        self.bn1 = layers.norm(width)
        self.act1 = layers.act()
        self.conv2 = layers.conv(width, width, 3, 1, 1)
        self.bn2 = layers.norm(width)
        self.act2 = layers.act()

    def construct(self, x):
        y, x = fork_conv_norm_act(self.conv1, self.bn1, self.act1, x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return conv_norm_add_act(self.conv2, self.bn2, self.act2, y, shortcut)


class Bottleneck(nn.Cell):
    """1 x 1, 3 x 3, 1 x 1 convolutions and the shortcut: (N, C, H, W) to (N, 4 width, H / stride, W / stride)."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, layers: Layers):
        super().__init__()
        self.downsample = _shortcut(channels, 4 * width, stride, layers)
        self.conv1 = layers.conv(channels, width, 1, 1, 0)
        self.bn1 = layers.norm(width)
        self.act1 = layers.act()
        self.conv2 = layers.conv(width, width, 3, stride, 1)
        self.bn2 = layers.norm(width)
        self.act2 = layers.act()
        self.conv3 = layers.conv(width, 4 * width, 1, 1, 0)
        self.bn3 = layers.norm(4 * width)
        self.act3 = layers.act()

    def construct(self, x):
        y, x = fork_conv_norm_act(self.conv1, self.bn1, self.act1, x)
        shortcut = x if self.downsample is None else self.downsample(x)
        y = conv_norm_act(self.conv2, self.bn2, self.act2, y)
        return conv_norm_add_act(self.conv3, self.bn3, self.act3, y, shortcut)


class ResNetImageNet(nn.Cell):
    """Stem with max pooling, four stages of width 64 to 512, head: (N, 3, H, W) to logits (N, num_classes).

    Args:
        depth: 18, 34 (basic blocks) or 50 (bottlenecks).
        num_classes: length of the logits.
        layers: factories of the layers.

    Raises:
        ConfigError: another depth.
    """

    def __init__(self, depth: int, num_classes: int = 1000, layers: Layers | None = None):
        super().__init__()
        check_depth(depth, DEPTHS)
        layers = layers or Layers()
        block = Bottleneck if depth == 50 else BasicBlock
        self.conv1 = layers.stem(3, 64, 7, 2, 3)
        self.bn1 = layers.norm(64)
        self.act = layers.act()
        self.maxpool = max_pool(3, 2, 1)
        channels, stages = 64, []
        for index, count in enumerate(_BLOCKS[depth]):
            width = 64 << index
            first = block(channels, width, 1 if index == 0 else 2, layers)
            channels = width * block.expansion
            stages.append(nn.SequentialCell(first, *[block(channels, width, 1, layers) for _ in range(count - 1)]))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.mean, self.fc = GlobalMean(), nn.Dense(channels, num_classes)

    def blocks_and_logits(self, x):
        """Outputs (N, C, H, W) of all blocks, a tuple, and logits (N, K), of images (N, 3, H, W)."""
        x, outputs = self.maxpool(conv_norm_act(self.conv1, self.bn1, self.act, x)), ()
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
                outputs += (x,)
        return outputs, self.fc(self.mean(x))

    def construct(self, x):
        x = self.maxpool(conv_norm_act(self.conv1, self.bn1, self.act, x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.mean(x))
