"""VGG with BatchNorm for 32 x 32 images (Simonyan and Zisserman, ICLR 2015, table 1, columns D and E).

As usual on such images the three linear layers are one, and no convolution has a bias, for a norm follows. Parameter
names count the cells of ``features`` as torchvision's do: ``features.0.weight``, ``features.1.gamma``, ``fc.weight``.
"""

from mindspore import nn

from common.kernels.global_mean import GlobalMean
from common.kernels.max_pool import max_pool
from common.models.layers import Layers, check_depth
from common.models.norm_act import ConvNormActSequential

_WIDTHS = (64, 128, 256, 512, 512)  # of the stages, each ended by pooling
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
DEPTHS = tuple(_CONVOLUTIONS)


class VGG(nn.Cell):
    """Five stages of conv-norm-act and 2 x 2 max pooling, global average, linear layer: (N, 3, 32, 32) to (N, classes).

    Args:
        depth: 16 or 19: the 3 x 3 convolutions and the paper's three linear layers.
        num_classes: length of the logits.
        layers: factories of the layers.

    Raises:
        ConfigError: another depth.
    """

    def __init__(self, depth: int, num_classes: int = 10, layers: Layers | None = None):
        super().__init__()
        check_depth(depth, DEPTHS)
        layers = layers or Layers()
        cells, channels = [], 3
        for width, count in zip(_WIDTHS, _CONVOLUTIONS[depth]):
            for _ in range(count):
                conv = layers.conv if cells else layers.stem
                cells += [conv(channels, width, 3, 1, 1), layers.norm(width), layers.act()]
                channels = width
            cells.append(max_pool(2, 2))
        self.features = ConvNormActSequential(*cells)
        self.mean, self.fc = GlobalMean(), nn.Dense(channels, num_classes)

    def construct(self, x):
        return self.fc(self.mean(self.features(x)))
