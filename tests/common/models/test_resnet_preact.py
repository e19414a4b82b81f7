"""The pre-activation ResNets: size, PyTorch's layers, shortcuts by name, gradients, what is refused."""

from collections import Counter

import numpy as np
import pytest
from mindspore import nn
from network_checks import (
    check_both_modes,
    check_gradients,
    check_logits,
    images,
    randomise_norms,
    size,
    take_parameters,
)

from common.errors import ConfigError
from common.models.layers import Layers, conv2d, weighted_layers
from common.models.registry import model
from common.models.resnet_preact import PreActBlock, PreActResNetCifar


def expected_size(blocks, classes=10):
    """3 x 3 and 1 x 1 convolutions, two parameters a channel of each norm, linear layer."""
    convolutions = 9 * 3 * 16 + (16 * 32 + 32 * 64)
    convolutions += 9 * (2 * blocks * 16 * 16 + 16 * 32 + (2 * blocks - 1) * 32 * 32)
    convolutions += 9 * (32 * 64 + (2 * blocks - 1) * 64 * 64)
    norms = 2 * blocks * (16 + 32 + 64) - 16 - 32 + 64  # the first norm of a stage has the channels before it
    return convolutions + 2 * norms + 65 * classes


@pytest.mark.parametrize(("depth", "count"), [(20, 272_282), (110, 1_730_522)])
def test_parameter_counts(depth, count):
    assert size(model(f"preact_resnet{depth}").build(10)) == expected_size((depth - 2) // 6) == count
    if depth == 20:
        assert size(PreActResNetCifar(20, 100)) == expected_size(3, 100)


def torch_preact(torch, depth, classes):
    """The network in plain torch layers, under the names of ours."""

    def conv(channels, filters, kernel, stride=1):
        return torch.nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)

    class Block(torch.nn.Module):
        def __init__(self, channels, filters):
            super().__init__()
            stride = filters // channels
            self.bn1, self.bn2 = torch.nn.BatchNorm2d(channels), torch.nn.BatchNorm2d(filters)
            self.conv1, self.conv2 = conv(channels, filters, 3, stride), conv(filters, filters, 3)
            self.downsample = conv(channels, filters, 1, stride) if stride > 1 else None

        def forward(self, x):
            a = self.bn1(x).relu()
            shortcut = self.downsample(a) if self.downsample else x
            return shortcut + self.conv2(self.bn2(self.conv1(a)).relu())

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(64, classes)

        def forward(self, x):
            return self.fc(x.mean((2, 3)))

    class PreAct(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = conv(3, 16, 3)
            for stage, (before, width) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
                blocks = [Block(width if index else before, width) for index in range((depth - 2) // 6)]
                setattr(self, f"layer{stage}", torch.nn.Sequential(*blocks))
            self.bn, self.head = torch.nn.BatchNorm2d(64), Head()

        def forward(self, x):
            return self.head(self.bn(self.layer3(self.layer2(self.layer1(self.conv1(x))))).relu())

    return randomise_norms(torch, PreAct())


def test_logits_are_those_of_pytorch_layers():
    torch = pytest.importorskip("torch")
    network, reference = PreActResNetCifar(20, 7), torch_preact(torch, 20, 7)
    take_parameters(network, reference)
    check_logits(torch, network, reference, images(2, 3, 32, 32))


@pytest.mark.parametrize(("filters", "stride"), [(4, 1), (8, 2)])
def test_block_in_both_modes(filters, stride):
    y = check_both_modes(PreActBlock(4, filters, stride, Layers()), images(2, 4, 8, 8))
    assert y.shape == (2, filters, 8 // stride, 8 // stride)


def test_shortcut_reads_the_activated_input_and_has_no_norm():
    """Where the two 3 x 3 convolutions give nothing, the block is its shortcut."""
    block, x = PreActBlock(4, 8, 2, Layers()).set_train(False), images(2, 4, 6, 6)
    block.conv2.weight.set_data(block.conv2.weight * 0)
    weight = block.downsample.weight.asnumpy()[:, :, 0, 0]
    active = np.maximum(x, 0)[:, :, ::2, ::2] / np.sqrt(1 + 1e-5)  # the norm's first statistics: mean 0, variance 1
    assert check_both_modes(block, x) == pytest.approx(np.einsum("fc,nchw->nfhw", weight, active), abs=1e-5)


def test_shortcut_convolutions_have_downsample_in_their_names():
    layers = weighted_layers(PreActResNetCifar(32))
    shortcuts = [name for name, layer in layers.items() if getattr(layer, "kernel_size", None) == (1, 1)]
    assert shortcuts == ["layer2.0.downsample", "layer3.0.downsample"]
    assert [name for name in layers if "downsample" in name] == shortcuts
    first, *_, last = layers
    assert first == "conv1" and last == "head.fc" and len(layers) == 32 + 2


def test_every_parameter_gets_a_gradient():
    check_gradients(PreActResNetCifar(20), 32, 10)


def test_layers_are_pluggable():
    calls = Counter()

    def counting(name, factory):
        def make(*args):
            calls[(name, *args[2:])] += 1
            return factory(*args)

        return make

    names = ("conv", "stem", "norm", "act")
    layers = Layers(*[counting(*pair) for pair in zip(names, (conv2d, conv2d, nn.BatchNorm2d, nn.ReLU6))])
    PreActResNetCifar(20, layers=layers)
    assert calls == {
        ("stem", 3, 1, 1): 1,
        ("conv", 3, 1, 1): 16,
        ("conv", 3, 2, 1): 2,
        ("conv", 1, 2, 0): 2,
        ("norm",): 19,
        ("act",): 19,
    }


@pytest.mark.parametrize("depth", [0, 18, 26, "20"])
def test_unknown_depth(depth):
    with pytest.raises(ConfigError, match=f"^depth: expected one of 20, 32, 44, 56, 110, found {depth}$"):
        PreActResNetCifar(depth)
