"""The VGG-like network for 32 x 32 images on which low-bit methods are compared (as in LQ-Nets, ECCV 2018)."""

from mindspore import nn

from common.kernels.max_pool import max_pool
from common.models.layers import Layers
from common.models.norm_act import ConvNormActSequential

_WIDTHS = (128, 256, 512)  # two convolutions and a pooling each


class VGGSmall(nn.Cell):
    """Six 3 x 3 convolutions with BatchNorm in three stages, then one linear layer: (N, 3, 32, 32) to (N, classes).

    Each stage ends with 2 x 2 max pooling; the linear layer reads all 512 x 4 x 4 activations.

    Args:
        num_classes: length of the logits.
        layers: factories of the layers.
    """

    def __init__(self, num_classes: int = 10, layers: Layers | None = None):
        super().__init__()
        layers = layers or Layers()
        cells, channels = [], 3
        for width in _WIDTHS:
            for last in (False, True):
                conv = layers.conv if cells else layers.stem
                cells += [conv(channels, width, 3, 1, 1)]
                cells += [max_pool(2, 2)] if last else []
                cells += [layers.norm(width), layers.act()]
                channels = width
        self.features = ConvNormActSequential(*cells)
        self.fc = nn.Dense(channels * 4 * 4, num_classes)

    def construct(self, x):
        x = self.features(x)
        return self.fc(x.reshape(x.shape[0], -1))
