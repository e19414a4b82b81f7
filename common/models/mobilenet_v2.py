"""MobileNetV2 (Sandler et al., CVPR 2018, table 2) for ImageNet and for 32 x 32 images, built of any layers.

Parameter names are torchvision's, with MindSpore's names for BatchNorm: ``features.0.0.weight``,
``features.1.conv.0.1.gamma``, ``features.2.conv.2.weight``, ``classifier.1.weight``.
"""

from mindspore import nn

from common.kernels.global_mean import GlobalMean
from common.models.inverted_residual import block_joins, block_kernel, joined_block
from common.models.layers import Layers
from common.models.norm_act import ConvNormActSequential, watched

# Expansion of the channels inside a block, filters, blocks, stride of the first one.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _LAST, _DROPOUT = 32, 1280, 0.2


class InvertedResidual(nn.Cell):
    """Expand, filter each channel by itself, project: (N, C, H, W) to (N, F, H / stride, W / stride).

    1 x 1 convolution to expansion * C channels (left out where the expansion is 1), norm, act; depthwise 3 x 3
    convolution, norm, act; 1 x 1 convolution to F channels, norm. No activation follows: the next block sees values
    below 0. The input is added where it has the output's shape.

    Args:
        channels: number of input channels C.
        filters: number of output channels F.
        stride: stride of the depthwise convolution.
        expansion: factor by which the block widens its channels.
        layers: factories of the layers.
    """

    def __init__(self, channels: int, filters: int, stride: int, expansion: int, layers: Layers):
        super().__init__()
        hidden = expansion * channels
        cells = [] if expansion == 1 else [_activated(layers.conv(channels, hidden, 1, 1, 0), hidden, layers)]
        cells += [
            _activated(layers.conv(hidden, hidden, 3, stride, 1, groups=hidden), hidden, layers),
            layers.conv(hidden, filters, 1, 1, 0),
            layers.norm(filters),
        ]
        self.conv = ConvNormActSequential(*cells)
        self.residual = stride == 1 and channels == filters
        self.kernel = None if expansion == 1 else block_kernel(cells[0], cells[1], self.residual)

    def construct(self, x):
        if self.kernel is not None and not watched(self.conv):
            cells = self.conv.cell_list
            if block_joins(self.kernel, cells[0], cells[1], cells[2], cells[3]):
                return joined_block(self.kernel, x, cells[0], cells[1], cells[2], cells[3])
        return x + self.conv(x) if self.residual else self.conv(x)


class Features(nn.SequentialCell):
    """Stem, inverted residual blocks and what follows; the first block, without expansion, joins the stem."""

    def __init__(self, *cells: nn.Cell):
        super().__init__(*cells)
        self.kernel = block_kernel(cells[0], cells[1].conv.cell_list[0])

    def construct(self, x):
        cells, i = self.cell_list, 0
        if self.kernel is not None and not watched(cells[1]) and not watched(cells[1].conv):
            block = cells[1].conv.cell_list
            if block_joins(self.kernel, cells[0], block[0], block[1], block[2]):
                x, i = joined_block(self.kernel, x, cells[0], block[0], block[1], block[2]), 2
        for cell in cells[i:]:
            x = cell(x)
        return x


class MobileNetV2(nn.Cell):
    """Stem, 17 blocks, 1 x 1 convolution to 1280 channels, global average, linear layer: images to (N, num_classes).

    Images are (N, 3, H, W), for ImageNet 224 x 224 and 32 times larger than the last feature map. The form for small
    images has stride 1 in its stem and its second stage: 32 x 32 images end as 4 x 4.

    Args:
        num_classes: length of the logits.
        layers: factories of the layers; ``conv`` must take ``groups``, and ``act6`` is the activation.
        small_images: whether the network has the form for 32 x 32 images.
    """

    def __init__(self, num_classes: int = 1000, layers: Layers | None = None, small_images: bool = False):
        super().__init__()
        layers = layers or Layers()
        cells, channels = [_activated(layers.stem(3, _STEM, 3, 1 if small_images else 2, 1), _STEM, layers)], _STEM
        for index, (expansion, filters, count, stride) in enumerate(_STAGES):
            for block in range(count):
                step = 1 if block > 0 or (small_images and index == 1) else stride
                cells.append(InvertedResidual(channels, filters, step, expansion, layers))
                channels = filters
        cells.append(_activated(layers.conv(channels, _LAST, 1, 1, 0), _LAST, layers))
        self.features, self.mean = Features(*cells), GlobalMean()
        self.classifier = nn.SequentialCell(nn.Dropout(p=_DROPOUT), nn.Dense(_LAST, num_classes))

    def construct(self, x):
        return self.classifier(self.mean(self.features(x)))


def _activated(conv: nn.Cell, filters: int, layers: Layers) -> nn.SequentialCell:
    return ConvNormActSequential(conv, layers.norm(filters), layers.act6())
