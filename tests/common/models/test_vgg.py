"""VGG-16 and VGG-19: size, PyTorch's layers, gradients, what is refused."""

from itertools import pairwise

import pytest
from mindspore import nn
from network_checks import check_gradients, check_logits, images, randomise_norms, size, take_parameters

from common.errors import ConfigError
from common.models.layers import Layers, conv2d, weighted_layers
from common.models.registry import model
from common.models.vgg import VGG

# Filters of the convolutions, M for max pooling: the paper's table 1.
COLUMNS = {
    16: [64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", *3 * [512], "M"],
    19: [64, 64, "M", 128, 128, "M", *4 * [256], "M", *4 * [512], "M", *4 * [512], "M"],
}


def widths(depth):
    return [3, *[width for width in COLUMNS[depth] if width != "M"]]


@pytest.mark.parametrize(("depth", "millions"), [(16, 14.7), (19, 20.0)])
def test_parameter_counts(depth, millions):
    expected = sum(9 * c * f + 2 * f for c, f in pairwise(widths(depth))) + 512 * 10 + 10
    assert size(model(f"vgg{depth}").build(10)) == expected == pytest.approx(1e6 * millions, abs=0.05e6)


def torch_vgg(torch, depth, classes):
    cells, channels = [], 3
    for width in COLUMNS[depth]:
        if width == "M":
            cells.append(torch.nn.MaxPool2d(2))
            continue
        conv = torch.nn.Conv2d(channels, width, 3, padding=1, bias=False)
        cells += [conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
        channels = width

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.fc = torch.nn.Sequential(*cells), torch.nn.Linear(512, classes)

        def forward(self, x):
            return self.fc(self.features(x).flatten(1))

    return randomise_norms(torch, Network())


def test_logits_are_those_of_pytorch_layers():
    torch = pytest.importorskip("torch")
    network, reference = VGG(16, 7), torch_vgg(torch, 16, 7)
    take_parameters(network, reference)
    check_logits(torch, network, reference, images(2, 3, 32, 32))


def test_every_parameter_gets_a_gradient():
    check_gradients(VGG(16), 32, 10)


def test_layers_are_pluggable():
    convolutions, acts = [], []

    def noting(name):
        return lambda *args: (convolutions.append((name, *args)), conv2d(*args))[1]

    layers = Layers(noting("conv"), noting("stem"), act=lambda: (acts.append(1), nn.ReLU6())[1])
    network = VGG(19, 5, layers)
    names = ["stem", *15 * ["conv"]]
    assert convolutions == [(name, *pair, 3, 1, 1) for name, pair in zip(names, pairwise(widths(19)))]
    assert len(acts) == 16 and len(weighted_layers(network)) == 17


@pytest.mark.parametrize("depth", [0, 11, 13, "16"])
def test_unknown_depth(depth):
    with pytest.raises(ConfigError, match=f"^depth: expected one of 16, 19, found {depth}$"):
        VGG(depth)
