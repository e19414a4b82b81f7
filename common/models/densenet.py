"""DenseNets for 32 x 32 images (Huang et al., CVPR 2017, section 3 and 4.2), built of any layers.

Each layer reads the feature maps of all layers before it in its block. Parameter names: ``conv1.weight``,
``block1.0.layer.0.gamma``, ``block1.0.layer.2.weight``, ``transition1.2.weight``, ``bn.gamma``, ``head.fc.weight``.
"""

from mindspore import nn, ops

from common.errors import ConfigError
from common.models.layers import Layers
from common.models.norm_act import ConvNormActSequential, norm_act
from common.models.resnet_cifar import DenseHead


class DenseLayer(nn.Cell):
    """norm-act-conv, its result appended to its input: (N, C, H, W) to (N, C + growth, H, W).

    Args:
        channels: number of input channels C.
        growth: number of new channels.
        bottleneck: whether a norm-act-conv of 1 x 1 to 4 * growth channels comes before.
        layers: factories of the layers.
    """

    def __init__(self, channels: int, growth: int, bottleneck: bool, layers: Layers):
        super().__init__()
        inner = 4 * growth
        cells = _norm_act_conv(channels, inner, 1, layers) if bottleneck else []
        cells += _norm_act_conv(inner if bottleneck else channels, growth, 3, layers)
        self.layer = ConvNormActSequential(*cells)

    def construct(self, x):
        return ops.cat((x, self.layer(x)), 1)


class DenseNetCifar(nn.Cell):
    """Stem, three dense blocks with transitions between, norm, act, head: (N, 3, 32, 32) to (N, num_classes).

    A transition is norm-act-conv of 1 x 1 and 2 x 2 average pooling. The basic form (depth 3 n + 4) has n layers in a
    block and transitions that keep the channels; with bottlenecks, DenseNet-BC (depth 6 n + 4), layers have two
    convolutions, transitions halve the channels (compression 0.5), and the stem has 2 * growth filters, not 16.

    Args:
        depth: number of convolutions and linear layers.
        num_classes: length of the logits.
        growth: number of new channels of each layer.
        bottleneck: whether the network has the form with bottlenecks.
        layers: factories of the layers.

    Raises:
        ConfigError: a depth that the form does not have.
    """

    def __init__(
        self,
        depth: int = 40,
        num_classes: int = 10,
        growth: int = 12,
        bottleneck: bool = False,
        layers: Layers | None = None,
    ):
        super().__init__()
        convolutions = 6 if bottleneck else 3  # that a network gains with one more layer in each block
        if not isinstance(depth, int) or depth <= 4 or (depth - 4) % convolutions:
            form = "DenseNet-BC" if bottleneck else "DenseNet"
            raise ConfigError(f"depth: expected {convolutions} n + 4 for {form}, n >= 1, found {depth}")
        layers = layers or Layers()
        count = (depth - 4) // convolutions
        channels = 2 * growth if bottleneck else 16
        self.conv1 = layers.stem(3, channels, 3, 1, 1)
        cells = []
        for index in range(3):
            cells.append(_block(channels, count, growth, bottleneck, layers))
            channels += count * growth
            if index < 2:
                kept = channels // 2 if bottleneck else channels
                cells.append(_transition(channels, kept, layers))
                channels = kept
        self.block1, self.transition1, self.block2, self.transition2, self.block3 = cells
        self.bn = layers.norm(channels)
        self.act = layers.act()
        self.head = DenseHead(channels, num_classes)

    def construct(self, x):
        x = self.transition1(self.block1(self.conv1(x)))
        x = self.block3(self.transition2(self.block2(x)))
        return self.head(norm_act(self.bn, self.act, x))


def _norm_act_conv(channels: int, filters: int, kernel: int, layers: Layers) -> list[nn.Cell]:
    return [layers.norm(channels), layers.act(), layers.conv(channels, filters, kernel, 1, kernel // 2)]


def _block(channels: int, count: int, growth: int, bottleneck: bool, layers: Layers) -> nn.SequentialCell:
    inputs = range(channels, channels + count * growth, growth)
    return nn.SequentialCell(*[DenseLayer(width, growth, bottleneck, layers) for width in inputs])


def _transition(channels: int, filters: int, layers: Layers) -> nn.SequentialCell:
    return nn.SequentialCell(*_norm_act_conv(channels, filters, 1, layers), nn.AvgPool2d(2, 2))
