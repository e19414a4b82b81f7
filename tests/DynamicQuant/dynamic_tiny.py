"""A small residual network and images that several tests of DynamicQuant use."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn
from PIL import Image

from common.data import ImageArrays, Preprocessing
from common.models.layers import Layers
from common.models.resnet_cifar import BasicBlock, DenseHead
from common.runtime.context import execution_mode
from common.stored.network import StoredNetwork
from common.training import CrossEntropy, Run, Schedule, TrainConfig, TrainData, Trainer
from DynamicQuant.budget import BudgetLoss, NoiseDecay
from DynamicQuant.convert import quantize_network
from DynamicQuant.network import Decisions, Scores
from DynamicQuant.quant_config import QuantConfig
from DynamicQuant.tester import DynamicTester

PREPROCESSING = Preprocessing(image_size=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop_padding=1, flip=True)
DYNAMIC = ["layer2.0.conv1", "layer2.0.conv2", "layer3.0.conv1", "layer3.0.conv2"]
STATIC = ["layer1.0.conv1", "layer1.0.conv2", "layer3.0.downsample.0"]


class TinyResNet(nn.Cell):
    """A block per stage, an option-A and a 1 x 1 shortcut: (N, 3, S, S) to (N, classes), weights by the seed."""

    def __init__(self, classes: int = 4, seed: int = 0):
        super().__init__()
        layers = Layers()
        self.conv1, self.bn1, self.act = layers.stem(3, 4, 3, 1, 1), layers.norm(4), layers.act()
        self.layer1 = nn.SequentialCell(BasicBlock(4, 4, 1, "pad", layers))
        self.layer2 = nn.SequentialCell(BasicBlock(4, 6, 2, "pad", layers))
        self.layer3 = nn.SequentialCell(BasicBlock(6, 8, 1, "conv", layers))
        self.head = DenseHead(8, classes)
        seeded(self, seed)

    def construct(self, x):
        x = self.act(self.bn1(self.conv1(x)))
        return self.head(self.layer3(self.layer2(self.layer1(x))))


def seeded(network: nn.Cell, seed: int) -> nn.Cell:
    """Weights, BatchNorm and biases that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    for name, parameter in network.parameters_and_names():
        part = name.rpartition(".")[2]
        if part == "weight":
            value = rng.normal(0, (2 * parameter.shape[0] / parameter.size) ** 0.5, parameter.shape)
        else:
            value = rng.uniform(0.5, 1.5, parameter.shape) - (part in ("beta", "bias", "moving_mean"))
        parameter.set_data(Tensor(value.astype(np.float32)))
    return network


def random_input(count: int = 4, seed: int = 0, size: int = 8) -> np.ndarray:
    """Images as a network sees them."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, size, size)).astype(np.float32)


def dynamic_network(bits: int = 3, quantizer: str = "pact", frozen: bool = False, spread: float = 0.0, **options):
    """The tiny network, dynamic; with a ``spread``, its controller's choices differ between images."""
    config = QuantConfig(bits, quantizer, image_size=8, **options)
    network = quantize_network(TinyResNet(), config, dict.fromkeys(STATIC + DYNAMIC, 1.5), frozen, seed=7)
    if spread:
        spread_choices(network, spread)
    return network


def spread_choices(network, spread: float = 1.0) -> None:
    """Let the last layer of the controller weigh, so that images choose differently, all candidates about as often."""
    last = network.controller.last
    rng = np.random.default_rng(5)
    last.weight.set_data(Tensor(rng.normal(0, spread, last.weight.shape).astype(np.float32)))
    last.bias.set_data(Tensor(np.zeros(last.bias.shape, np.float32)))
    with execution_mode("pynative"):
        scores = Scores(network).set_train(False)(Tensor(random_input(64))).asnumpy()
    last.bias.set_data(Tensor(-scores.mean(0).ravel()))


def static_network(bits: int = 3, quantizer: str = "pact", frozen: bool = False):
    """The tiny network with one width."""
    config = QuantConfig(bits, quantizer, static=True, image_size=8)
    return quantize_network(TinyResNet(), config, dict.fromkeys(STATIC + DYNAMIC, 1.5), frozen)


def stored(network, name: str = "TinyDynamic", **settings) -> StoredNetwork:
    """The network with what a file would record."""
    recorded = asdict(QuantConfig(**{"bits": 3, "quantizer": "pact", "image_size": 8, **settings}))
    about = {"method": "DynamicQuant", "kind": "latent", "network": name, "num_classes": 4, "settings": recorded}
    return StoredNetwork(network, about)


def logits_and_masks(network, x: np.ndarray | None = None) -> list[np.ndarray]:
    """What a network gives for images: logits, and of a dynamic one the masks."""
    cell = Decisions(network) if hasattr(network, "decide") else network
    cell.set_train(False)
    outputs = cell(Tensor(random_input(12) if x is None else x))
    return [part.asnumpy() for part in (outputs if isinstance(outputs, tuple) else (outputs,))]


def same(first, second) -> bool:
    """Whether two lists of arrays are equal."""
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def images(count: int = 24, seed: int = 0) -> ImageArrays:
    """Random pictures of 8 x 8 whose brightness says a little about their class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 4).astype(np.int32)
    pixels = rng.integers(0, 200, (count, 8, 8, 3)) + 15 * labels[:, None, None, None]
    return ImageArrays(pixels.astype(np.uint8), labels, 4)


def class_folders(root: Path, source: ImageArrays) -> Path:
    """The pictures, enlarged to 32 x 32, as PNG files in a folder for each class of both parts."""
    for part in ("train", "test"):
        for number, (picture, label) in enumerate(zip(source.images, source.labels, strict=True)):
            folder = root / part / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).resize((32, 32)).save(folder / f"{number}.png")
    return root


def tester(network: StoredNetwork, train: ImageArrays) -> DynamicTester:
    """What measures a network in training."""
    return DynamicTester(network, train, PREPROCESSING, 6, "bitflops", seed=0)


def trainer(folder: Path, epochs: int = 3, penalty: float = 1.0) -> Trainer:
    """A training of a dynamic network with 4 steps of 6 images in each epoch, validated on 8."""
    one, validation = stored(dynamic_network()), images(8, seed=2)
    measure = tester(one, images())
    objective = BudgetLoss(one.network, measure.costs, measure.limit, penalty, CrossEntropy(0.1))
    return Trainer(
        network=one.network,
        data=TrainData(images(), PREPROCESSING, validation),
        config=TrainConfig(epochs, 6, Schedule("constant", 0.05), weight_decay=1e-3, seed=5),
        run=Run(folder, one.metadata),
        callbacks=[NoiseDecay(one.network, 2)],
        objective=objective,
        validate=measure(validation, label="validation"),
        test=measure(images(12, seed=1), label="test"),
    )
