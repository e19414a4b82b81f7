"""A small network, images and calls of the scripts that several tests of ProQHA use."""

import os
import signal
import sys
from dataclasses import asdict

import numpy as np
import pytest
from mindspore import Tensor, nn
from script_runs import kill_in_step

from common import checkpoint
from common.data import ImageArrays, Preprocessing
from common.models.registry import MODELS, Model
from common.stored.network import StoredNetwork
from ProQHA.convert import calibrate, quantize_network
from ProQHA.network import SMALL_IMAGES
from ProQHA.quant import set_bits
from ProQHA.quant_config import PAPERS_CLIP, QuantConfig

PREPROCESSING = Preprocessing(image_size=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop_padding=1, flip=True)


class Inner(nn.Cell):
    """norm, act, convolution, act."""

    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(6, 8, 3, 2, pad_mode="pad", padding=1, has_bias=True)
        self.layer = nn.SequentialCell(nn.BatchNorm2d(6), nn.ReLU(), conv, nn.ReLU())

    def construct(self, x):
        return self.layer(x)


class Tiny(nn.Cell):
    """A shortcut, groups, biases, a layer whose input is signed, linear layers: (N, 3, 4 H, 4 W) to (N, classes)."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, pad_mode="pad", padding=1)
        self.inner = Inner()
        self.downsample = nn.Conv2d(6, 8, 1, 2, pad_mode="valid")
        self.grouped = nn.Conv2d(8, 8, 3, pad_mode="pad", padding=1, group=4)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 5, 1, pad_mode="valid", has_bias=True)
        self.relu = nn.ReLU()
        self.hidden = nn.Dense(5, 7)
        self.last = nn.Dense(7, classes)

    def construct(self, x):
        x = self.stem(x)
        x = self.mix(self.norm(self.grouped(self.inner(x))) + self.downsample(x))
        return self.last(self.relu(self.hidden(self.relu(x).mean((2, 3)))))


LAYERS = ["inner.layer.2", "grouped", "mix", "hidden"]
WEIGHTS = [8 * 6 * 9, 8 * 2 * 9, 5 * 8, 7 * 5]
ACTIVATIONS = [6 * 16, 8 * 4, 8 * 4, 5]  # of an image of 8 x 8
MACS = [8 * 6 * 9 * 4, 8 * 2 * 9 * 4, 5 * 8 * 4, 7 * 5]


def seeded(network: nn.Cell, seed: int = 0) -> nn.Cell:
    """The network with the parameters of a seed, scaled so that activations stay near 1."""
    rng = np.random.default_rng(seed)
    for name, parameter in network.parameters_and_names():
        last, shape = name.rsplit(".", 1)[-1], parameter.shape
        if last == "weight":
            value = rng.normal(0, (1.5 * shape[0] / parameter.size) ** 0.5, shape)
        elif last in ("bias", "beta", "moving_mean"):
            value = rng.normal(0, 0.1, shape)
        else:
            value = rng.uniform(0.7, 1.3, shape)
        parameter.set_data(Tensor(value.astype(np.float32)))
    return network


def tiny(classes: int = 4) -> nn.Cell:
    """The network of seed 0, float."""
    return seeded(Tiny(classes))


def images(count: int = 24, seed: int = 0, classes: int = 4) -> ImageArrays:
    """Random pictures of 8 x 8 whose brightness says a little about their class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    pixels = rng.integers(0, 200, (count, 8, 8, 3)) + 50 // classes * labels[:, None, None, None]
    return ImageArrays(pixels.astype(np.uint8), labels, classes)


def batch(count: int = 16, seed: int = 0, size: int = 8) -> np.ndarray:
    """Images as a network sees them, (N, 3, size, size)."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, size, size)).astype(np.float32)


def labels(count: int = 16, classes: int = 4) -> np.ndarray:
    return (np.arange(count) % classes).astype(np.int32)


def quantized(bits=None, classes: int = 4, clip: float | None = None) -> nn.Cell:
    """The network with ``bits`` (L, 2), or 8 everywhere, and clips of least squared error, unless one is given."""
    network = tiny(classes)
    quantize_network(network, QuantConfig(activation_clip=clip or PAPERS_CLIP), 8)
    if bits is not None:
        set_bits(network, bits)
    if clip is None:
        calibrate(network, [batch()])
    return network.set_train(False)


def stored(bits=((3, 8), (2, 5), (7, 4), (3, 2)), classes: int = 5) -> StoredNetwork:
    """A network of mixed bits as a run has it."""
    network = quantized(bits, classes)
    settings = asdict(QuantConfig(signed=("mix",)))
    about = {"method": "ProQHA", "kind": "latent", "network": "Tiny", "num_classes": classes, "settings": settings}
    return StoredNetwork(network, {**about, "note": [1, "a"]})


def register(patch) -> None:
    """The network under a name of ``--arch``."""
    patch.setitem(MODELS, "Tiny", Model(tiny, str, ("digits", "cifar10")))
    patch.setitem(SMALL_IMAGES, "tiny", "Tiny")


def state(path) -> tuple[dict[str, np.ndarray], dict]:
    """Tensors and metadata of a file."""
    content = checkpoint.load(path)
    return content.tensors, content.metadata


def records(folder) -> list[dict]:
    """The log of a search."""
    return state(folder / "search.ckpt")[1]["search"]["records"]


if __name__ == "__main__":  # a search that is killed: the number of the training step, the options
    from ProQHA import search

    patch = pytest.MonkeyPatch()
    register(patch)
    kill_in_step(patch, int(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGKILL))
    search.main(sys.argv[2:])
