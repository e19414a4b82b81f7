"""ResNets for 32 x 32 images (He et al., CVPR 2016, section 4.2), built of any layers.

Parameter names are those of the well-known PyTorch descriptions with MindSpore's names for BatchNorm, the last layer's
under ``head``: ``layer1.0.conv1.weight``, ``layer2.0.downsample.0.weight``, ``head.fc.weight``.
:func:`published_name` maps the names of published state files to them.
"""

from collections.abc import Callable

from mindspore import nn, ops

from common.errors import ConfigError
from common.kernels.custom import use_native
from common.kernels.global_mean import GlobalMean
from common.kernels.pad_shortcut import NativePadShortcut
from common.models.layers import Layers, batch_norm, check_depth, conv2d
from common.models.norm_act import ConvNormActSequential, conv_norm_act, conv_norm_add_act, fork_conv_norm_act

DEPTHS = (20, 32, 44, 56, 110)


def published_name(name: str) -> str:
    """Our name of a parameter of a published PyTorch state file (BatchNorm's own names already converted)."""
    for theirs, ours in (("linear.", "head.fc."), ("fc.", "head.fc."), ("bn2.", "head.bn2.")):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


class PadShortcut(nn.Cell):
    """Parameter-free shortcut (option A): every second pixel, new channels zero, half of them on each side."""

    def __init__(self, new_channels: int, stride: int):
        super().__init__()
        self.sample = nn.AvgPool2d(1, stride)  # x[:, :, ::stride, ::stride]: its gradient fails in PYNATIVE mode
        self.before, self.after = new_channels // 2, new_channels - new_channels // 2
        self.kernel = NativePadShortcut(self.before, self.after, stride) if use_native(None) else None

    def construct(self, x):
        if self.kernel is not None:
            return self.kernel(x)
        x = self.sample(x)
        count, _, height, width = x.shape
        # Not ops.pad: in GRAPH mode on CPU its gradient is right in the first step only (MindSpore 2.10).
        before, after = (ops.zeros((count, new, height, width), x.dtype) for new in (self.before, self.after))
        return ops.cat((before, x, after), 1)


class BasicBlock(nn.Cell):
    """conv-norm-act, conv-norm, plus the shortcut, act: (N, C, H, W) to (N, F, H / stride, W / stride).

    Args:
        channels: number of input channels C.
        filters: number of output channels F.
        stride: stride of the first convolution.
        shortcut: ``pad`` (option A) or ``conv`` (option B: 1 x 1 convolution and norm), where the shape changes.
        layers: factories of the layers.
    """

    def __init__(self, channels: int, filters: int, stride: int, shortcut: str, layers: Layers):
        super().__init__()
        self.conv1 = layers.conv(channels, filters, 3, stride, 1)
        self.bn1 = layers.norm(filters)
        self.act1 = layers.act()
        self.conv2 = layers.conv(filters, filters, 3, 1, 1)
        self.bn2 = layers.norm(filters)
        self.act2 = layers.act()
        self.downsample = None
        if stride != 1 or channels != filters:
            self.downsample = _downsample(channels, filters, stride, shortcut, layers)

    def construct(self, x):
        y, x = fork_conv_norm_act(self.conv1, self.bn1, self.act1, x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return conv_norm_add_act(self.conv2, self.bn2, self.act2, y, shortcut)


def _downsample(channels: int, filters: int, stride: int, shortcut: str, layers: Layers) -> nn.Cell:
    if shortcut == "pad":
        return PadShortcut(filters - channels, stride)
    if shortcut == "conv":
        return ConvNormActSequential(layers.conv(channels, filters, 1, stride, 0), layers.norm(filters))
    raise ConfigError(f"shortcut: expected pad or conv, found {shortcut!r}")


class DenseHead(nn.Cell):
    """Global average and a linear layer: (N, C, H, W) to (N, classes)."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.mean, self.fc = GlobalMean(), nn.Dense(channels, num_classes)

    def construct(self, x):
        return self.fc(self.mean(x))


class ConvNormHead(nn.Cell):
    """Global average, 1 x 1 convolution and BatchNorm over the classes, as AdderNet ends its networks."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.fc = conv2d(channels, num_classes, 1)
        self.bn2 = batch_norm(num_classes)

    def construct(self, x):
        x = self.bn2(self.fc(x.mean((2, 3), keep_dims=True)))  # (N, classes, 1, 1)
        return x.reshape(x.shape[0], -1)


class ResNetCifar(nn.Cell):
    """Stem, three stages of 16, 32 and 64 filters, head: (N, 3, 32, 32) to logits (N, num_classes).

    Args:
        depth: 20, 32, 44, 56 or 110 (6 n + 2).
        num_classes: length of the logits.
        shortcut: ``pad`` or ``conv``, see :class:`BasicBlock`.
        layers: factories of the layers.
        block: the class of its blocks, called as :class:`BasicBlock` is.
        head: ``(channels, num_classes) -> Cell`` from the last feature map to the logits.

    Raises:
        ConfigError: another depth or shortcut.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        shortcut: str = "pad",
        layers: Layers | None = None,
        block: Callable[..., nn.Cell] = BasicBlock,
        head: Callable[[int, int], nn.Cell] = DenseHead,
    ):
        super().__init__()
        check_depth(depth, DEPTHS)
        layers = layers or Layers()
        blocks = (depth - 2) // 6
        self.conv1 = layers.stem(3, 16, 3, 1, 1)
        self.bn1 = layers.norm(16)
        self.act = layers.act()
        self.layer1 = self._stage(block, 16, 16, 1, blocks, shortcut, layers)
        self.layer2 = self._stage(block, 16, 32, 2, blocks, shortcut, layers)
        self.layer3 = self._stage(block, 32, 64, 2, blocks, shortcut, layers)
        self.head = head(64, num_classes)

    @staticmethod
    def _stage(block, channels, filters, stride, count, shortcut, layers) -> nn.SequentialCell:
        first = block(channels, filters, stride, shortcut, layers)
        return nn.SequentialCell(first, *[block(filters, filters, 1, shortcut, layers) for _ in range(count - 1)])

    def blocks_and_logits(self, x):
        """Outputs (N, C, H, W) of all blocks, a tuple, and logits (N, K), of images (N, 3, H, W)."""
        x, outputs = conv_norm_act(self.conv1, self.bn1, self.act, x), ()
        for stage in (self.layer1, self.layer2, self.layer3):
            for block in stage:
                x = block(x)
                outputs += (x,)
        return outputs, self.head(x)

    def construct(self, x):
        x = conv_norm_act(self.conv1, self.bn1, self.act, x)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.head(x)
