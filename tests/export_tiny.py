"""Weights for networks of any kind, and small ones to export."""

import numpy as np
from mindspore import Tensor, nn

from common.models.layers import Layers
from common.models.resnet_cifar import BasicBlock, DenseHead


class Tiny(nn.Cell):
    """Two residual blocks with a parameter-free shortcut: (N, 3, S, S) to (N, classes)."""

    def __init__(self, classes: int = 10):
        super().__init__()
        layers = Layers()
        self.conv1, self.bn1, self.act = layers.stem(3, 4, 3, 1, 1), layers.norm(4), layers.act()
        self.layer1 = nn.SequentialCell(BasicBlock(4, 4, 1, "pad", layers), BasicBlock(4, 7, 2, "pad", layers))
        self.head = DenseHead(7, classes)

    def construct(self, x):
        return self.head(self.layer1(self.act(self.bn1(self.conv1(x)))))


def seeded(network: nn.Cell, seed: int = 0) -> nn.Cell:
    """Weights that keep the size of activations, and BatchNorm statistics other than 0 and 1."""
    rng = np.random.default_rng(seed)
    for name, parameter in network.parameters_and_names():
        part, shape = name.rpartition(".")[2], parameter.shape
        if part == "weight":
            value = rng.normal(0, (2 * shape[0] / parameter.size) ** 0.5, shape)
        elif part in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif part in ("beta", "moving_mean", "bias"):
            value = rng.normal(0, 0.3, shape)
        else:
            continue
        parameter.set_data(Tensor(value.astype(np.float32)))
    return network.set_train(False)


def images(count: int = 3, size: int = 32, seed: int = 1) -> np.ndarray:
    """Random pictures as a network sees them."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, size, size)).astype(np.float32)


class Flat(nn.Cell):
    """A layer of the 27 values of an image (N, 3, 3, 3)."""

    def __init__(self, layer: nn.Cell):
        super().__init__()
        self.layer = layer

    def construct(self, x):
        return self.layer(x.reshape(x.shape[0], -1))


# Images whose outputs are the single weights of such a layer.
UNITS = np.eye(27, dtype=np.float32).reshape(27, 3, 3, 3)
