"""Networks whose layers choose their bits for each image."""

from collections.abc import Mapping

from mindspore import nn, ops

from common.kernels.global_mean import GlobalMean
from common.models.norm_act import norm_act, norm_add_act
from DynamicQuant.bit_controller import GRID, BitController
from DynamicQuant.gumbel_softmax import Choice, GumbelSoftmax
from DynamicQuant.quant import DynamicConv2d
from DynamicQuant.quant_config import QuantConfig

CHOOSING_STAGES = ("layer2", "layer3", "layer4")  # the controller sees the output of the stage before them


class DynamicBlock(nn.Cell):
    """A residual block whose convolutions choose: x (N, C, H, W), one mask (N, K) for each of them.

    Args:
        block: block of a network in :mod:`common.models`, its convolutions dynamic; takes over its cells and names.
    """

    def __init__(self, block: nn.Cell):
        super().__init__()
        self.downsample = block.downsample
        self.conv1, self.bn1, self.act1 = block.conv1, block.bn1, block.act1
        self.conv2, self.bn2, self.act2 = block.conv2, block.bn2, block.act2
        layers = self.downsample if isinstance(self.downsample, nn.SequentialCell) else [None]
        self.shortcut_chooses = isinstance(layers[0], DynamicConv2d)
        self.deep = hasattr(block, "conv3")
        self.choices = 2 + self.deep + self.shortcut_chooses
        if self.deep:
            self.conv3, self.bn3, self.act3 = block.conv3, block.bn3, block.act3

    def construct(self, x, masks):
        if self.shortcut_chooses:
            shortcut, masks = self.downsample[1](self.downsample[0](x, masks[0])), masks[1:]
            y = self.conv1(x, masks[0])
        else:
            y, x = self._conv1(x, masks[0])
            shortcut = x if self.downsample is None else self.downsample(x)
        x = norm_act(self.bn1, self.act1, y)
        if not self.deep:
            return norm_add_act(self.bn2, self.act2, self.conv2(x, masks[1]), shortcut)
        x = norm_act(self.bn2, self.act2, self.conv2(x, masks[1]))
        return norm_add_act(self.bn3, self.act3, self.conv3(x, masks[2]), shortcut)

    def _conv1(self, x, mask):
        """The first convolution, and x for the shortcut: in training the gradients of both meet in one pass."""
        if self.conv1.forks:
            return self.conv1.fork(x, mask)
        return self.conv1(x, mask), x


class DynamicNetwork(nn.Cell):
    """A network with a bit controller on its first stage: images (N, 3, H, W) to logits (N, classes).

    Attributes:
        dynamic: names of the dynamic layers, in the order of the masks.
        macs: multiply-accumulates of an image in each quantized layer, by name.
        controller: from the first stage's output to scores.
        choose: from scores to masks.
    """

    dynamic: list[str]
    macs: dict[str, int]

    def construct(self, images):
        return self.decide(images)[0]

    def decide(self, images):
        """Logits (N, classes) and masks (N, L, K), one-hot: the candidate that each image takes in each layer."""
        x, scores = self.first_stage(images)
        mask = self.choose(scores)
        return self.other_stages(x, mask), mask

    def first_stage(self, images):
        """What the other stages need, and scores of all candidates (N, L, K)."""
        raise NotImplementedError

    def other_stages(self, x, mask):
        """Logits (N, classes) from the first stage's output, under masks (N, L, K)."""
        raise NotImplementedError

    def add_controller(self, config: QuantConfig, channels: int, side: int, seed: int | None, grid: int = GRID) -> None:
        """Give the network its controller and what chooses by its scores.

        Args:
            config: quantization settings.
            channels: number of channels of the first stage's output.
            side: of that output.
            seed: seed of the noise in training; None for a network that is only evaluated.
            grid: side that the controller pools it to.
        """
        count = len(config.candidates)
        self.controller = BitController(channels, side, len(self.dynamic), count, seed, config.preference, grid)
        self.choose = Choice() if seed is None else GumbelSoftmax(config.temperature, seed)


class DynamicResNet(DynamicNetwork):
    """A ResNet of the zoo with a bit controller on its first stage: images (N, 3, H, W) to logits (N, classes).

    Args:
        network: network whose convolutions after the first stage are dynamic, shortcuts apart; taken over.
        config: quantization settings.
        channels: number of channels of the first stage's output.
        seed: seed of the noise in training; None for a network that is only evaluated.
        macs: multiply-accumulates of an image in each quantized layer, by name.
    """

    def __init__(self, network: nn.Cell, config: QuantConfig, channels: int, seed: int | None, macs: Mapping[str, int]):
        super().__init__()
        self.conv1, self.bn1, self.act, self.layer1 = network.conv1, network.bn1, network.act, network.layer1
        self.maxpool = getattr(network, "maxpool", None)
        for name in CHOOSING_STAGES:
            stage = getattr(network, name, None)
            setattr(self, name, None if stage is None else nn.CellList([DynamicBlock(block) for block in stage]))
        self.head, self.fc = getattr(network, "head", None), getattr(network, "fc", None)
        self.mean = GlobalMean()
        self.macs, self.dynamic = dict(macs), list(dynamic_layers(self))
        side = config.image_size if self.maxpool is None else config.image_size // 4
        self.add_controller(config, channels, side, seed)

    def other_stages(self, x, mask):
        """Logits (N, classes) from the first stage's output, under masks (N, L, K)."""
        masks, start = ops.unstack(mask, 1), 0
        for stage in (self.layer2, self.layer3, self.layer4):
            if stage is not None:
                for block in stage:
                    x = block(x, masks[start : start + block.choices])
                    start += block.choices
        return self.fc(self.mean(x)) if self.head is None else self.head(x)

    def first_stage(self, images):
        """Output of the first stage (N, C, S, S) and scores of all candidates (N, L, K)."""
        x = norm_act(self.bn1, self.act, self.conv1(images))
        if self.maxpool is not None:
            x = self.maxpool(x)
        x = self.layer1(x)
        return x, self.controller(x)


class Decisions(nn.Cell):
    """Logits (N, classes) and masks (N, L, K) of a network that keeps its parameters' names."""

    def __init__(self, network: DynamicNetwork):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images):
        return self.network.decide(images)


class Scores(nn.Cell):
    """The controller's scores (N, L, K) alone; they do not depend on what was chosen."""

    def __init__(self, network: DynamicNetwork):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images):
        return self.network.first_stage(images)[1]


def dynamic_layers(network: nn.Cell) -> dict[str, DynamicConv2d]:
    """The layers that choose, by name, in the order of their masks."""
    return {name: cell for name, cell in network.cells_and_names() if isinstance(cell, DynamicConv2d)}
