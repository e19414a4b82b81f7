"""Every architecture: which layers are quantized, and that weights and inputs of a layer are a pair."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.cli import config
from common.errors import ConfigError
from common.models.layers import weighted_layers
from common.models.registry import PREPROCESSING, model
from common.quant.layers import quant_layers
from common.runtime.context import execution_mode
from common.runtime.hooks import input_hooks
from ProQHA.convert import quantize_network, quantized_names
from ProQHA.cost_model import cost_model
from ProQHA.measure import make_parser
from ProQHA.network import arch_of, architecture, architectures
from ProQHA.options import choice
from ProQHA.quant import get_bits, set_bits
from ProQHA.quant_config import QuantConfig

# Convolutions that are quantized: all but the first and the shortcuts.
COUNTS = {
    "preact_resnet20": 18,
    "preact_resnet32": 30,
    "preact_resnet56": 54,
    "preact_resnet110": 108,
    "resnet20": 18,
    "resnet20_conv": 18,
    "vgg16": 12,
    "vgg19": 15,
    "mobilenet_v2_cifar": 51,
    "densenet40": 38,
    "densenet100": 98,
    "resnet18": 16,
    "resnet34": 32,
    "resnet50": 48,
    "mobilenet_v2": 51,
}
ALL = [
    (dataset, name) for dataset in ("cifar10", "imagenet") for name in dict.fromkeys(architectures(dataset).values())
]


def test_all_architectures_are_counted():
    assert {name for _, name in ALL} - {"Tiny"} == set(COUNTS)


def counted(network, names, size):
    """Weights, values of the input and multiplications of each layer, from shapes alone."""
    cells, shapes = dict(network.cells_and_names()), {}
    with input_hooks({name: cells[name] for name in names}, lambda name, x: shapes.update({name: x.shape})):
        network.set_train(False)(Tensor(np.zeros((1, 3, size, size), np.float32)))
    for name in names:
        cell, shape = cells[name], shapes[name]
        assert shape[0] == 1
        if isinstance(cell, nn.Dense):
            yield name, cell.in_channels * cell.out_channels, shape[1], cell.in_channels * cell.out_channels
            continue
        (kernel, kernel_w), stride, padding = cell.kernel_size, cell.stride[0], np.max(cell.padding)
        side = (shape[2] + 2 * padding - kernel) // stride + 1
        weights = cell.out_channels * cell.in_channels // cell.group * kernel * kernel_w
        assert shape[1] == cell.in_channels
        yield name, weights, int(np.prod(shape)), weights * side**2


@pytest.mark.parametrize(("dataset", "name"), ALL, ids=str)
def test_weights_and_inputs_of_a_layer_are_paired(dataset, name):
    network, size = model(name).build(10), PREPROCESSING[dataset].image_size
    layers, names = weighted_layers(network), quantized_names(network)
    assert len(names) == COUNTS[name]
    left = [name for name in layers if name not in names]
    assert left[0] == next(iter(layers)) and left[-1] == list(layers)[-1]
    assert isinstance(layers[left[-1]], nn.Dense) and all("downsample" in name for name in left[1:-1])
    with execution_mode("pynative"):
        sizes = cost_model(network, size)
        expected = list(counted(network, names, size))
    assert list(sizes.names) == names
    assert list(zip(sizes.names, sizes.weights, sizes.activations, sizes.macs)) == expected

    shapes = {name: layer.weight.shape for name, layer in layers.items()}
    quantize_network(network, QuantConfig(signed=()))
    assert list(quant_layers(network)) == names
    bits = np.random.default_rng(0).integers(2, 9, (len(names), 2))
    set_bits(network, bits)
    assert np.array_equal(get_bits(network), bits)
    parameters = dict(network.parameters_and_names())
    for name, (of_weights, of_inputs), (_, weights, _, _) in zip(names, bits, expected):
        assert parameters[f"{name}.weight"].shape == shapes[name] and parameters[f"{name}.weight"].size == weights
        assert parameters[f"{name}.quantize_weight.bits"].asnumpy().tolist() == [of_weights]
        assert parameters[f"{name}.quantize_input.bits"].asnumpy().tolist() == [of_inputs]
    storage = sum(b[0] * weights for b, (_, weights, _, _) in zip(bits, expected))
    assert sizes.storage(bits) == pytest.approx(storage / (32 * sum(weights for _, weights, _, _ in expected)))


@pytest.mark.parametrize(
    ("arch", "layers", "dataset", "expected"),
    [
        ("resnet20", None, "cifar10", "preact_resnet20"),
        ("preact_resnet20", None, "cifar10", "preact_resnet20"),
        ("preact_resnet", 32, "digits", "preact_resnet32"),
        ("postresnet20", None, "cifar10", "resnet20"),
        ("postresnet20_conv", None, "cifar10", "resnet20_conv"),
        ("PostResNet20-Conv", None, "digits", "resnet20_conv"),
        ("resnet", 110, "digits", "preact_resnet110"),
        ("resnet56", 56, "cifar10", "preact_resnet56"),
        ("ResNet-20", None, "cifar10", "preact_resnet20"),
        ("vgg", 16, "cifar10", "vgg16"),
        ("VGG_19", None, "cifar10", "vgg19"),
        ("densenet", 100, "cifar10", "densenet100"),
        ("mobilenetv2", None, "cifar10", "mobilenet_v2_cifar"),
        ("mobilenet_v2", 53, "imagenet", "mobilenet_v2"),
        ("resnet", 18, "imagenet", "resnet18"),
        ("resnet50", None, "imagenet", "resnet50"),
    ],
)
def test_names_of_networks(arch, layers, dataset, expected):
    assert architecture(arch, layers, dataset) == expected
    assert model(expected, dataset)
    assert architecture(arch_of(expected, dataset), None, dataset) == expected


@pytest.mark.parametrize(
    ("arch", "layers", "dataset", "expected"),
    [
        ("resnet20", 32, "cifar10", "resnet20 has 20 layers, found --num_layers 32"),
        ("resnet", None, "cifar10", "num_layers: resnet needs .*resnet20, resnet32"),
        ("vgg", None, "digits", "num_layers: vgg needs .*vgg16, vgg19"),
        ("resnet", 21, "cifar10", "arch: expected one of .*, found resnet21"),
        ("resnet18", None, "cifar10", "arch: expected one of preact_resnet20.* for cifar10, found resnet18"),
        ("resnet20", None, "imagenet", "for imagenet, found resnet20"),
        ("vgg16", None, "imagenet", "for imagenet, found vgg16"),
        ("alexnet", None, "cifar10", "found alexnet"),
        ("", None, "cifar10", "arch: expected one of"),
        ("20", 20, "cifar10", "arch: expected one of"),
        ("res net20", None, "cifar10", "found res net20"),
    ],
)
def test_other_names_are_refused(arch, layers, dataset, expected):
    with pytest.raises(ConfigError, match=expected):
        architecture(arch, layers, dataset)


def chosen(*words):
    chosen = choice(config.parse(make_parser(), list(words)))
    return chosen.arch, chosen.dataset


def test_a_network_that_only_imagenet_has_chooses_that_data_set_if_none_is_named():
    assert chosen("--arch", "resnet18") == ("resnet18", "imagenet")
    assert chosen("--arch", "resnet", "--num_layers", "50") == ("resnet50", "imagenet")
    assert chosen("--arch", "mobilenetv2") == ("mobilenet_v2_cifar", "digits")
    assert chosen("--arch", "mobilenetv2", "--dataset", "imagenet") == ("mobilenet_v2", "imagenet")
    with pytest.raises(ConfigError, match="for cifar10, found resnet18"):
        chosen("--arch", "resnet18", "--data_dir", "somewhere")
    with pytest.raises(ConfigError, match="for digits, found alexnet"):
        chosen("--arch", "alexnet")
