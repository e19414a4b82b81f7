"""DenseNets: published sizes, PyTorch's layers, both forms, gradients, what is refused."""

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
from common.models.densenet import DenseLayer, DenseNetCifar
from common.models.layers import Layers, conv2d, weighted_layers
from common.models.registry import model


def expected_size(count, bottleneck):
    """With growth 12: convolutions, two parameters a channel of each norm, linear layer."""
    channels = 24 if bottleneck else 16
    total = 9 * 3 * channels
    for block in range(3):
        for _ in range(count):
            total += 2 * channels + (48 * channels + 2 * 48 + 9 * 48 * 12 if bottleneck else 9 * channels * 12)
            channels += 12
        if block < 2:
            kept = channels // 2 if bottleneck else channels
            total += 2 * channels + channels * kept
            channels = kept
    return total + 2 * channels + (channels + 1) * 10


# The paper's table 2, in millions.
@pytest.mark.parametrize(("name", "count", "millions"), [("densenet40", 12, 1.0), ("densenet100", 16, 0.8)])
def test_parameter_counts(name, count, millions):
    parameters = size(model(name).build(10))
    assert parameters == expected_size(count, name == "densenet100")
    assert parameters == {"densenet40": 1_019_722, "densenet100": 769_162}[name]
    assert parameters == pytest.approx(1e6 * millions, abs=0.05e6)


def test_parameter_count_of_the_deep_basic_form():
    count = size(DenseNetCifar(100))
    assert count == expected_size(32, False) == pytest.approx(7.0e6, abs=0.05e6)  # the paper's table 2


def torch_densenet(torch, count, classes, growth, bottleneck):
    """The network in plain torch layers, under the names of ours."""

    def activated(channels, filters, kernel):
        conv = torch.nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False)
        return [torch.nn.BatchNorm2d(channels), torch.nn.ReLU(), conv]

    class Layer(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            cells = activated(channels, 4 * growth, 1) if bottleneck else []
            cells += activated(4 * growth if bottleneck else channels, growth, 3)
            self.layer = torch.nn.Sequential(*cells)

        def forward(self, x):
            return torch.cat((x, self.layer(x)), 1)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            channels = 2 * growth if bottleneck else 16
            self.conv1 = torch.nn.Conv2d(3, channels, 3, padding=1, bias=False)
            for index in (1, 2, 3):
                block = [Layer(channels + layer * growth) for layer in range(count)]
                setattr(self, f"block{index}", torch.nn.Sequential(*block))
                channels += count * growth
                if index < 3:
                    cells = activated(channels, channels // (1 + bottleneck), 1)
                    setattr(self, f"transition{index}", torch.nn.Sequential(*cells, torch.nn.AvgPool2d(2)))
                    channels //= 1 + bottleneck
            self.bn, self.head = torch.nn.BatchNorm2d(channels), torch.nn.Module()
            self.head.fc = torch.nn.Linear(channels, classes)

        def forward(self, x):
            x = self.transition1(self.block1(self.conv1(x)))
            x = self.bn(self.block3(self.transition2(self.block2(x)))).relu()
            return self.head.fc(x.mean((2, 3)))

    return randomise_norms(torch, Network())


@pytest.mark.parametrize(
    ("depth", "bottleneck", "mode"), [(22, False, "pynative"), (10, False, "graph"), (22, True, "pynative")]
)
def test_logits_are_those_of_pytorch_layers(depth, bottleneck, mode):
    torch = pytest.importorskip("torch")
    network = DenseNetCifar(depth, 7, 5, bottleneck)
    reference = torch_densenet(torch, (depth - 4) // (6 if bottleneck else 3), 7, 5, bottleneck)
    take_parameters(network, reference)
    check_logits(torch, network, reference, images(2, 3, 32, 32), mode)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_layer_puts_new_channels_behind_its_input(bottleneck):
    x = images(2, 6, 5, 5)
    y = check_both_modes(DenseLayer(6, 4, bottleneck, Layers()), x)
    assert y.shape == (2, 10, 5, 5) and (y[:, :6] == x).all()


@pytest.mark.parametrize("bottleneck", [False, True])
def test_every_parameter_gets_a_gradient(bottleneck):
    check_gradients(DenseNetCifar(16, 10, 6, bottleneck), 32, 10)


def test_layers_are_pluggable():
    shapes, stems, acts = [], [], []

    def conv(*shape):
        shapes.append(shape)
        return conv2d(*shape)

    def stem(*shape):
        stems.append(shape)
        return conv2d(*shape)

    layers = Layers(conv, stem, act=lambda: (acts.append(1), nn.ReLU6())[1])
    network = DenseNetCifar(16, 10, 12, True, layers)
    assert stems == [(3, 24, 3, 1, 1)]
    block1 = [(24, 48, 1, 1, 0), (48, 12, 3, 1, 1), (36, 48, 1, 1, 0), (48, 12, 3, 1, 1), (48, 24, 1, 1, 0)]
    assert shapes[:5] == block1 and len(shapes) == 14 and len(acts) == 15
    first, *_, last = names = list(weighted_layers(network))
    assert first == "conv1" and last == "head.fc" and len(names) == 16  # as deep as it says


@pytest.mark.parametrize(
    ("depth", "bottleneck", "expected"),
    [
        (39, False, r"3 n \+ 4 for DenseNet, n >= 1, found 39"),
        (4, False, r"3 n \+ 4 for DenseNet, n >= 1, found 4"),
        (40.0, False, r"3 n \+ 4 for DenseNet, n >= 1, found 40.0"),
        ("40", False, r"3 n \+ 4 for DenseNet, n >= 1, found 40"),
        (-2, True, r"6 n \+ 4 for DenseNet-BC, n >= 1, found -2"),
        (43, True, r"6 n \+ 4 for DenseNet-BC, n >= 1, found 43"),
    ],
)
def test_unknown_depth(depth, bottleneck, expected):
    with pytest.raises(ConfigError, match=f"^depth: expected {expected}$"):
        DenseNetCifar(depth, bottleneck=bottleneck)
