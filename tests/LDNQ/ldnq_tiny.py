"""A network of every kind of layer that LDNQ quantizes, small enough to run the whole cascade in a test."""

import mindspore as ms
import numpy as np
from mindspore import nn


class TinyNet(nn.Cell):
    """Padding, stride, groups, bias, a linear layer: (N, 3, 32, 32) to logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, pad_mode="pad", padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, 2, pad_mode="pad", padding=1, group=2, has_bias=True)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.fc = nn.Dense(8, 10)

    def blocks_and_logits(self, x):
        first = self.relu(self.bn1(self.conv1(x)))
        second = self.relu(self.bn2(self.conv2(first)))
        return (first, second), self.fc(second.mean((2, 3)))

    def construct(self, x):
        return self.blocks_and_logits(x)[1]


def tiny_network(seed: int = 0) -> TinyNet:
    """The network with weights of a seed."""
    network, generator = TinyNet(), np.random.default_rng(seed)
    for parameter in network.get_parameters():
        if parameter.name.endswith(("weight", "bias")):
            scale = 0.3 if parameter.name.endswith("weight") else 0.1
            parameter.set_data(ms.Tensor(scale * generator.normal(size=parameter.shape), ms.float32))
    return network
