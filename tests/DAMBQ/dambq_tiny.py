"""Small networks and images that several tests of DAMBQ use."""

import itertools
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageArrays, Preprocessing, batches, eval_dataset
from common.evaluation import evaluate
from common.models.registry import model
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer
from DAMBQ.allocation import Allocator
from DAMBQ.budget import Budget
from DAMBQ.convert import calibrate_last, multi_bit_layers, quantize_network
from DAMBQ.quant_config import QuantConfig

PREPROCESSING = Preprocessing(image_size=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop_padding=1, flip=True)


class UserNet(nn.Cell):
    """Biases, nested cells, groups, a linear layer in the middle: (N, 3, 8, 8) to (N, classes)."""

    def __init__(self, classes: int = 5):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, pad_mode="pad", padding=1, has_bias=True)
        self.body = nn.SequentialCell(
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, pad_mode="pad", padding=1, group=2, has_bias=True),
            nn.SequentialCell(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 1, pad_mode="valid")),
        )
        self.listed = nn.CellList([nn.Conv2d(12, 12, 3, pad_mode="valid")])
        self.relu = nn.ReLU()
        self.hidden = nn.Dense(48, 10)
        self.last = nn.Dense(10, classes)

    def construct(self, x):
        x = self.relu(self.body(self.stem(x)))
        x = self.relu(self.listed[0](x))
        x = self.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.last(x)


USER_LAYERS = ["stem", "body.1", "body.2.2", "listed.0", "hidden", "last"]


class Plain(nn.Cell):
    """A stem, 3 x 3 convolutions, the mean, a linear layer, ReLU between: (N, 3, H, W) to (N, classes)."""

    def __init__(self, widths=(6, 8), classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, 2, pad_mode="pad", padding=1)
        pairs = itertools.pairwise(widths)
        self.convs = nn.CellList([nn.Conv2d(c, f, 3, pad_mode="pad", padding=1) for c, f in pairs])
        self.relu = nn.ReLU()
        self.last = nn.Dense(widths[-1], classes)

    def construct(self, x):
        x = self.relu(self.stem(x))
        for conv in self.convs:
            x = self.relu(conv(x))
        return self.last(x.mean((2, 3)))


def seeded(network: nn.Cell, seed: int = 0) -> nn.Cell:
    """The network with weights and biases of a seed, scaled so that activations stay near 1."""
    rng = np.random.default_rng(seed)
    for name, parameter in network.parameters_and_names():
        if name.endswith("weight"):
            fan_in = parameter.size / parameter.shape[0]
            parameter.set_data(Tensor(rng.laplace(0, fan_in**-0.5, parameter.shape).astype(np.float32)))
        elif name.endswith("bias"):
            parameter.set_data(Tensor(rng.normal(0, 0.1, parameter.shape).astype(np.float32)))
    return network


def random_input(count: int = 4, seed: int = 0) -> np.ndarray:
    """Images as a network sees them, (N, 3, 8, 8)."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 8, 8)).astype(np.float32)


def images(count: int = 24, seed: int = 0) -> ImageArrays:
    """Random pictures of 8 x 8 whose brightness says a little about their class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 4).astype(np.int32)
    pixels = rng.integers(0, 200, (count, 8, 8, 3)) + 15 * labels[:, None, None, None]
    return ImageArrays(pixels.astype(np.uint8), labels, 4)


def set_bits(network: nn.Cell, seed: int, highest: int = 4, zero_layer: str | None = None) -> None:
    """Random bits of all channels but those of the first and last layer; all 0 in the weights of one layer."""
    rng = np.random.default_rng(seed)
    for name, layer in list(quant_layers(network).items())[1:-1]:
        for part in (layer.quantize_weight, layer.quantize_input):
            bits = rng.integers(0, highest + 1, part.bits.shape).astype(np.int32)
            part.bits.set_data(Tensor(bits * (name != zero_layer or part is layer.quantize_input)))
        layer.quantize_weight.reset_scale(layer.weight.asnumpy())


def test_accuracy(network: nn.Cell):
    return evaluate(network, batches(eval_dataset(images(12, seed=1), PREPROCESSING, 6)), 12)


test_accuracy.__test__ = False


def trainer(folder: Path, budget: Budget, widths=(6, 8, 5), rate=0.05, epochs=3, validate=None, **options):
    """A training of a quantized network with 4 steps of 6 images in each epoch."""
    network = quantize_network(seeded(Plain(widths)), QuantConfig(activation_clip=1.5))
    config = TrainConfig(epochs, 6, Schedule("constant", rate), seed=5, **options)
    metadata = {"network": "plain", "budget": repr(budget)}
    return Trainer(
        network=network,
        data=TrainData(images(), PREPROCESSING, images(8, seed=2) if validate else None),
        config=config,
        run=Run(folder, metadata),
        callbacks=[Allocator(network, budget, 8, epochs)],
        validate=validate,
        test=test_accuracy,
    )


def quantized(name: str = "User", table: str = "v2", zero_layer: str | None = None) -> StoredNetwork:
    """A network in evaluation mode with random bits."""
    network = quantize_network(seeded(model(name).build(5)), QuantConfig(table))
    set_bits(network, seed=1, zero_layer=zero_layer)
    if name == "User":
        calibrate_last(network, images(), PREPROCESSING, 24, seed=0)
    settings = asdict(QuantConfig(table))
    about = {"method": "DAMBQ", "kind": "latent", "network": name, "num_classes": 5, "settings": settings}
    return StoredNetwork(network.set_train(False), {**about, "dataset": "digits"})


KINDS = ("weights", "activations")
COSTS = {"weights": [54] * 8 + [72] * 5, "activations": [16] * 14}  # of Plain((6, 8, 5)) on 8 x 8 pixels
LAYERS = {"weights": [8, 5], "activations": [6, 8]}
FAST = {"shares": (1, 1), "duration": (0, 0)}


def quantizers(network, kind: str) -> list:
    name = "quantize_weight" if kind == "weights" else "quantize_input"
    return [getattr(layer, name) for layer in multi_bit_layers(network).values()]


def gathered(network, kind: str, part: str) -> np.ndarray:
    """A parameter of all quantizers of a kind, (G,)."""
    return np.concatenate([getattr(cell, part).asnumpy().copy() for cell in quantizers(network, kind)])


def watched(run: Trainer) -> list[dict]:
    """What the quantizers hold before and after each allocation of a run, which it makes."""
    allocator = run.callbacks[0]
    after_epoch, records = allocator.after_epoch, []

    def record(epoch: int) -> dict:
        before = state_of(run.network)
        result = after_epoch(epoch)
        records.append({"before": before, "after": state_of(run.network), **result})
        return result

    allocator.after_epoch = record
    run.run()
    return records


def state_of(network) -> dict:
    state = {(kind, part): gathered(network, kind, part) for kind in KINDS for part in ("bits", "sensitivity")}
    state["scale"] = gathered(network, "weights", "scale")
    weights = [layer.weight.asnumpy() for layer in multi_bit_layers(network).values()]
    state["mean"] = np.concatenate([np.abs(w).reshape(len(w), -1).mean(1) for w in weights])
    return state
