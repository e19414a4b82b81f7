"""The CIFAR ResNets against published logits, published sizes and PyTorch's layers."""

from collections import Counter

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.checkpoint.network_state import restore
from common.checkpoint.pytorch.names import to_mindspore_names
from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import ConfigError
from common.models.layers import Layers, conv2d
from common.models.resnet_cifar import ConvNormHead, PadShortcut, ResNetCifar, published_name

FILES = {20: "resnet20-12fca82f.th", 32: "resnet32-d509ac18.th"}


@pytest.mark.parametrize("depth", FILES)
def test_logits_of_the_published_networks(shared, depth, mode):
    golden = np.load(shared / "golden" / "cifar_resnet_logits.npz")
    images = (golden["images"] / np.float32(255) - golden["mean"]) / golden["std"]
    network, path = ResNetCifar(depth), shared / "checkpoints" / FILES[depth]
    state = to_mindspore_names(read_state_file(path))
    restore(network, {published_name(name): value for name, value in state.items()}, path)
    network.set_train(False)
    logits = network(Tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))).asnumpy()
    assert np.abs(logits - golden[f"logits_resnet{depth}"]).max() < 1e-3


def parameters(network):
    return sum(parameter.size for parameter in network.trainable_params())


# Trainable parameters with parameter-free shortcuts; two 1 x 1 convolutions and norms add 2,752.
@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_parameter_counts(depth, count):
    assert parameters(ResNetCifar(depth)) == count
    if depth == 20:
        assert parameters(ResNetCifar(20, shortcut="conv")) == count + 2_752
        assert parameters(ResNetCifar(20, num_classes=100)) == count + 90 * 65


def randomise(network, seed=0):
    """Random parameters of sizes that keep the values moderate; returns them."""
    rng, values = np.random.default_rng(seed), {}
    for parameter in network.get_parameters():
        shape, name = parameter.shape, parameter.name
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.3
        value = rng.normal(0, scale, shape)
        value = np.exp(value) if name.endswith(("gamma", "moving_variance")) else value
        values[name] = value.astype(np.float32)
        parameter.set_data(Tensor(values[name]))
    return values


class Reference:
    """The same network in PyTorch's functional layers."""

    def __init__(self, torch, values, shortcut):
        self.values = {name: torch.from_numpy(value) for name, value in values.items()}
        self.functional, self.shortcut = torch.nn.functional, shortcut

    def conv(self, x, name, stride=1, padding=1):
        return self.functional.conv2d(x, self.values[f"{name}.weight"], stride=stride, padding=padding)

    def norm(self, x, name):
        keys = ("moving_mean", "moving_variance", "gamma", "beta")
        return self.functional.batch_norm(x, *[self.values[f"{name}.{key}"] for key in keys])

    def block(self, x, name, stride):
        y = self.norm(self.conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
        y = self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
        if stride == 2 and self.shortcut == "conv":
            x = self.norm(self.conv(x, f"{name}.downsample.0", 2, 0), f"{name}.downsample.1")
        elif stride == 2:
            quarter = x.shape[1] // 2
            x = self.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return (y + x).relu()

    def __call__(self, x):
        x = self.norm(self.conv(x, "conv1"), "bn1").relu()
        for stage in (1, 2, 3):
            for block in range(3):
                x = self.block(x, f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
        return self.functional.linear(x.mean((2, 3)), self.values["head.fc.weight"], self.values["head.fc.bias"])


@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_same_as_pytorch_layers(shortcut, mode):
    torch = pytest.importorskip("torch")
    network = ResNetCifar(20, num_classes=7, shortcut=shortcut)
    reference = Reference(torch, randomise(network), shortcut)
    x = np.random.default_rng(1).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
    network.set_train(False)
    outputs, expected = network(Tensor(x)).asnumpy(), reference(torch.from_numpy(x)).numpy()
    assert outputs.shape == (2, 7)
    assert np.abs(outputs - expected).max() < 1e-4 * np.abs(expected).max()


def test_pad_shortcut_by_hand(mode):
    x = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)
    y = PadShortcut(3, 2)(Tensor(x)).asnumpy()
    assert y.shape == (1, 5, 2, 2)
    assert np.array_equal(y[:, 1:3], x[:, :, ::2, ::2]) and not y[:, [0, 3, 4]].any()


def test_layers_are_pluggable():
    """Every layer comes from the given factories, the first convolution from its own."""
    calls = Counter()

    def counting(name, factory):
        def make(*args):
            calls[(name, *args[2:])] += 1
            return factory(*args)

        return make

    layers = Layers(
        conv=counting("conv", conv2d),
        stem=counting("stem", conv2d),
        norm=counting("norm", nn.BatchNorm2d),
        act=counting("act", nn.ReLU6),
    )
    network = ResNetCifar(20, shortcut="conv", layers=layers, head=ConvNormHead)
    assert calls == {
        ("stem", 3, 1, 1): 1,
        ("conv", 3, 1, 1): 16,
        ("conv", 3, 2, 1): 2,
        ("conv", 1, 2, 0): 2,
        ("norm",): 21,
        ("act",): 19,
    }
    assert sum(isinstance(cell, nn.ReLU6) for cell in network.cells()) == 1
    network.set_train(False)
    assert network(Tensor(np.zeros((2, 3, 32, 32), np.float32))).shape == (2, 10)


def test_own_block():
    made = []

    class Block(nn.Cell):
        def __init__(self, *args):
            super().__init__()
            made.append(args[:4])

    ResNetCifar(20, block=Block)
    assert made == [
        *[(16, 16, 1, "pad")] * 3,
        *[(16, 32, 2, "pad"), (32, 32, 1, "pad"), (32, 32, 1, "pad")],
        *[(32, 64, 2, "pad"), (64, 64, 1, "pad"), (64, 64, 1, "pad")],
    ]


@pytest.mark.parametrize("depth", [0, 18, 21, 26, "20"])
def test_unknown_depth(depth):
    with pytest.raises(ConfigError, match=f"depth: expected one of 20, 32, 44, 56, 110, found {depth}"):
        ResNetCifar(depth)


def test_unknown_shortcut():
    with pytest.raises(ConfigError, match="shortcut: expected pad or conv, found 'identity'"):
        ResNetCifar(20, shortcut="identity")


def test_published_names():
    names = ["linear.weight", "fc.bias", "bn2.gamma", "bn1.gamma", "layer1.0.bn2.gamma", "layer2.0.downsample.0.weight"]
    assert [published_name(name) for name in names] == [
        "head.fc.weight",
        "head.fc.bias",
        "head.bn2.gamma",
        "bn1.gamma",
        "layer1.0.bn2.gamma",
        "layer2.0.downsample.0.weight",
    ]
