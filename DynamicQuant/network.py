"""Networks whose layers choose their bits for each image, the static ones of one width, and the names of ``-a``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.evaluation import cost
from common.models.layers import weighted_layers
from common.quant.calibration import best_clip, sample_inputs
from common.quant.conversion import replace_cells
from common.quant.dorefa import MAX_BITS, MIN_BITS
from DynamicQuant.bit_controller import BitController
from DynamicQuant.gumbel_softmax import Choice, GumbelSoftmax
from DynamicQuant.quant import QUANTIZERS, DynamicConv2d, static_conv2d

ARCHITECTURES = {
    "resnet20": "resnet20",
    "resnet32": "resnet32",
    "resnet56": "resnet56",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
}
_STAGES = ("layer2", "layer3", "layer4")  # what chooses; the stage before is what the controller sees
_VALUES = 1 << 17  # of a layer's inputs that one batch adds to its calibration


@dataclass(frozen=True)
class Settings:
    """How a network is quantized.

    Attributes:
        bits: the target t; a dynamic layer has the candidates t - 1, t, t + 1, all others t.
        quantizer: ``dorefa`` or ``pact``.
        static: whether all layers have t bits.
        image_size: H and W of the images.
        temperature: of the Gumbel-softmax.
        preference: by how much t bits lead in the controller's first scores; at 0 all candidates are equal.
        dynamic_shortcuts: whether the 1 x 1 convolutions of shortcuts choose too, as in the published network.

    Raises:
        ConfigError: bits outside 2 to 8, also those of a candidate; another quantizer.
    """

    bits: int = 4
    quantizer: str = "dorefa"
    static: bool = False
    image_size: int = 32
    temperature: float = 1.0
    preference: float = 0.0
    dynamic_shortcuts: bool = False

    def __post_init__(self):
        reach = 0 if self.static else 1
        low, high = MIN_BITS + reach, MAX_BITS - reach
        if not low <= self.bits <= high:
            why = "" if self.static else " of a dynamic network, whose candidates have one bit more and less"
            raise ConfigError(f"bits: expected {low} to {high}{why}, found {self.bits}")
        if self.quantizer not in QUANTIZERS or self.temperature <= 0:
            raise ConfigError(f"expected a quantizer of {', '.join(QUANTIZERS)} and a temperature > 0, found {self}")

    @property
    def candidates(self) -> tuple[int, ...]:
        """The widths that a dynamic layer chooses from."""
        return (self.bits - 1, self.bits, self.bits + 1)

    @property
    def learned_clip(self) -> bool:
        """Whether the clips of activations are trained."""
        return self.quantizer == "pact"


class DynamicBlock(nn.Cell):
    """A residual block whose convolutions choose: x (N, C, H, W), one mask (N, K) for each of them.

    Args:
        block: of a network in :mod:`common.models`, its convolutions dynamic; takes over its cells and names.
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
        else:
            shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x, masks[0])))
        x = self.bn2(self.conv2(x, masks[1]))
        if not self.deep:
            return self.act2(x + shortcut)
        return self.act3(self.bn3(self.conv3(self.act2(x), masks[2])) + shortcut)


class DynamicNetwork(nn.Cell):
    """A ResNet with a bit controller on its first stage: images (N, 3, H, W) to logits (N, classes).

    Args:
        network: its convolutions behind the first stage dynamic, shortcuts apart; taken over.
        settings: how it is quantized.
        channels: of the first stage's output.
        seed: of the noise in training; None for a network that is only evaluated.
        macs: multiply-accumulates of an image in each quantized layer, by name.

    Attributes:
        dynamic: names of the dynamic layers, in the order of the masks.
        macs: as given.
    """

    def __init__(self, network: nn.Cell, settings: Settings, channels: int, seed: int | None, macs: Mapping[str, int]):
        super().__init__()
        self.conv1, self.bn1, self.act, self.layer1 = network.conv1, network.bn1, network.act, network.layer1
        self.maxpool = getattr(network, "maxpool", None)
        for name in _STAGES:
            stage = getattr(network, name, None)
            setattr(self, name, None if stage is None else nn.CellList([DynamicBlock(block) for block in stage]))
        self.head, self.fc = getattr(network, "head", None), getattr(network, "fc", None)
        self.macs, self.dynamic = dict(macs), list(dynamic_layers(self))
        side = settings.image_size if self.maxpool is None else settings.image_size // 4
        count = len(settings.candidates)
        self.controller = BitController(channels, side, len(self.dynamic), count, seed, settings.preference)
        self.choose = Choice() if seed is None else GumbelSoftmax(settings.temperature, seed)

    def construct(self, images):
        return self.decide(images)[0]

    def decide(self, images):
        """Logits (N, classes) and masks (N, L, K), one-hot: the candidate that each image takes in each layer."""
        x, scores = self.first_stage(images)
        mask = self.choose(scores)
        return self.other_stages(x, mask), mask

    def other_stages(self, x, mask):
        """Logits (N, classes) from the first stage's output, under masks (N, L, K)."""
        masks, start = ops.unstack(mask, 1), 0
        for stage in (self.layer2, self.layer3, self.layer4):
            if stage is not None:
                for block in stage:
                    x = block(x, masks[start : start + block.choices])
                    start += block.choices
        return self.fc(x.mean((2, 3))) if self.head is None else self.head(x)

    def first_stage(self, images):
        """Output of the first stage (N, C, S, S) and scores of all candidates (N, L, K)."""
        x = self.act(self.bn1(self.conv1(images)))
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


def inner_layers(network: nn.Cell) -> list[str]:
    """Names of the convolutions of a float network that are quantized: all but the first and last layer."""
    names = list(weighted_layers(network))
    if len(names) < 3 or not hasattr(network, "layer1"):
        raise ConfigError(f"expected a ResNet with stages layer1, layer2, ..., found {type(network).__name__}")
    return names[1:-1]


def chooses(name: str, settings: Settings) -> bool:
    """Whether a layer that is quantized chooses its bits."""
    place = name.split(".")[0] in _STAGES and (settings.dynamic_shortcuts or "downsample" not in name)
    return place and not settings.static


def quantize_network(
    network: nn.Cell,
    settings: Settings,
    clips: Mapping[str, float] | None = None,
    frozen: bool = False,
    seed: int = 0,
) -> nn.Cell:
    """Quantize a float ResNet of :mod:`common.models.registry`, keeping its weights; it cannot be used by itself then.

    The first convolution and the last linear layer stay float. The first stage and the 1 x 1 convolutions of shortcuts
    have t bits (shortcuts: unless ``dynamic_shortcuts``), all other convolutions choose.

        network = quantize_network(model("resnet20").build(10), Settings(bits=4))

    Args:
        network: float.
        settings: how to quantize.
        clips: first clips of activations by layer; 1 where none is given.
        frozen: for evaluation alone: the weights that will be loaded are on their levels already.
        seed: of the noise that training draws.

    Returns:
        A network of images to logits: :class:`DynamicNetwork`, or the same one if static.

    Raises:
        ConfigError: a network of another kind, or images too small for the controller.
    """
    macs, cells, clips = layer_macs(network, settings.image_size), {}, clips or {}
    floats = weighted_layers(network)
    for name in macs:
        options = {"clip": clips.get(name, 1.0), "learned": settings.learned_clip, "frozen": frozen}
        if chooses(name, settings):
            cells[name] = DynamicConv2d(floats[name], settings.candidates, **options)
        else:
            cells[name] = static_conv2d(floats[name], settings.bits, **options)
    channels = list(network.layer1.cells())[-1].bn2.num_features
    if hasattr(list(network.layer1.cells())[-1], "bn3"):
        channels = list(network.layer1.cells())[-1].bn3.num_features
    replace_cells(network, cells)
    if settings.static:
        return network
    dynamic = DynamicNetwork(network, settings, channels, None if frozen else seed, macs)
    return replace_cells(dynamic, {})  # names its parameters by their places


def layer_macs(network: nn.Cell, image_size: int) -> dict[str, int]:
    """Multiply-accumulates of one image in each layer that is quantized, by name, of a float network."""
    inner = set(inner_layers(network))
    return {layer.name: layer.taps for layer in cost.trace(network, (3, image_size, image_size)) if layer.name in inner}


def calibrate(network: nn.Cell, images: Iterable[np.ndarray], bits: int) -> dict[str, float]:
    """Clips with the least squared error at ``bits``, of the inputs of all layers that are quantized.

    Args:
        network: float.
        images: batches (N, 3, H, W).
        bits: of the activations.

    Raises:
        DataError: there is no image.
    """
    cells = dict(network.cells_and_names())
    layers = {name: cells[name] for name in inner_layers(network)}
    inputs = sample_inputs(network, layers, images, lambda x: x.ravel()[:: max(1, x.size // _VALUES)].copy())
    return {name: best_clip(values, bits) for name, values in inputs.items()}


def set_controller_bias(network: DynamicNetwork, bias: np.ndarray) -> None:
    """Set the last bias of the controller: (L, K)."""
    network.controller.last.bias.set_data(Tensor(bias.astype(np.float32).ravel()))
