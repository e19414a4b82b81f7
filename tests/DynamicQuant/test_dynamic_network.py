"""Whole networks: what chooses, what it costs, images by themselves, branches alone."""

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, STATIC, TinyResNet, dynamic_network, random_input, spread_choices, static_network
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.models.registry import model
from common.models.resnet_cifar import ResNetCifar
from common.quant.layers import QuantConv2d
from DynamicQuant.convert import calibrate, inner_layers, layer_macs, quantize_network
from DynamicQuant.network import Decisions, DynamicNetwork, dynamic_layers
from DynamicQuant.quant_config import QuantConfig

# Bit operations at W4A4 as METHODS of the literature quote them, the first and last layer left out. Those of the deeper
# networks for CIFAR-10 are of networks whose shortcuts are 1 x 1 convolutions; ours have none (option A).
QUOTED = {
    (20, "pad"): 0.642e9,
    (20, "conv"): 0.646e9,
    (32, "conv"): 1.099e9,
    (56, "conv"): 2.005e9,
}


def deciding(network):
    """Compiled once for each size of batch."""
    cell = Decisions(network)
    cell.set_train(False)
    return cell


def decide(network, x):
    """Logits, and the candidate of each image and layer."""
    logits, mask = (network if isinstance(network, Decisions) else deciding(network))(Tensor(x))
    assert set(np.unique(mask.asnumpy())) <= {0, 1} and np.all(mask.asnumpy().sum(2) == 1)
    return logits.asnumpy(), mask.asnumpy().argmax(2)


@pytest.mark.parametrize(("depth", "shortcut"), QUOTED)
def test_bit_operations_of_networks_for_small_images_are_those_quoted(pynative, depth, shortcut):
    macs = layer_macs(ResNetCifar(depth, shortcut=shortcut), 32)
    assert 16 * sum(macs.values()) == pytest.approx(QUOTED[depth, shortcut], rel=1e-3)
    assert len(macs) == depth - 2 + 2 * (shortcut == "conv")


def test_bit_operations_of_resnet18_are_those_quoted(pynative):
    """27.13 G counts the three 1 x 1 shortcuts; the first and last layer are left out."""
    macs = layer_macs(model("resnet18").build(1000), 224)
    assert 16 * sum(macs.values()) == pytest.approx(27.13e9, rel=1e-4) and len(macs) == 19


def test_layers_after_the_first_stage_choose_and_the_rest_is_static_or_float():
    network = dynamic_network(bits=4)
    assert list(dynamic_layers(network)) == network.dynamic == DYNAMIC
    static = {name: cell for name, cell in network.cells_and_names() if isinstance(cell, QuantConv2d)}
    assert sorted(static) == sorted(STATIC)
    for cell in static.values():
        assert cell.quantize_weight.bits.asnumpy() == cell.quantize_input.bits.asnumpy() == 4
    for cell in dynamic_layers(network).values():
        np.testing.assert_array_equal(cell.bits.asnumpy(), [3, 4, 5])
    assert type(network.conv1).__name__ == "NativeConv2d" or isinstance(network.conv1, nn.Conv2d)
    assert isinstance(network.head.fc, nn.Dense)
    names = [name for name, _ in network.parameters_and_names()]
    assert len(names) == len(set(names)) and set(names) == {p.name for p in network.get_parameters()}


@pytest.mark.parametrize(
    ("name", "size", "dynamic", "static"),
    [
        ("resnet20", 32, 12, 6),
        ("resnet20_conv", 32, 12, 8),
        ("resnet18", 64, 12, 7),
        pytest.param("resnet50", 64, 39, 13, marks=pytest.mark.slow),
    ],
)
def test_counts_of_the_named_networks(pynative, name, size, dynamic, static):
    network = quantize_network(model(name).build(10), QuantConfig(4, image_size=size), frozen=True)
    assert len(network.dynamic) == dynamic and len(network.macs) == dynamic + static
    assert network.controller.last.weight.shape[0] == 3 * dynamic
    logits, choice = decide(network, random_input(2, size=size))
    assert logits.shape == (2, 10) and choice.shape == (2, dynamic)


def test_weights_and_statistics_of_the_float_network_are_kept():
    wanted, network = TinyResNet(), dynamic_network()
    state = {name: value.asnumpy() for name, value in network.parameters_and_names()}
    for name, value in wanted.parameters_and_names():
        np.testing.assert_array_equal(state[name], value.asnumpy())


@pytest.mark.parametrize("branch", range(3))
@pytest.mark.parametrize("quantizer", ["dorefa", "pact"])
def test_a_branch_alone_is_the_static_network_of_its_width(pynative, branch, quantizer):
    """Layers that do not choose have t bits in both."""
    network = dynamic_network(4, quantizer)
    bias = np.zeros((len(DYNAMIC), 3), np.float32)
    bias[:, branch] = 100
    network.controller.last.bias.set_data(Tensor(bias.ravel()))
    static = TinyResNet()
    clips = dict.fromkeys(STATIC + DYNAMIC, 1.5)
    quantize_network(static, QuantConfig(3 + branch, quantizer, static=True, image_size=8), clips)
    other = static_network(4, quantizer)
    for name in STATIC:
        replace(static, name, dict(other.cells_and_names())[name])
    x = random_input(9)
    logits, choice = decide(network, x)
    static.set_train(False)
    assert np.all(choice == branch)
    np.testing.assert_array_equal(logits, static(Tensor(x)).asnumpy())


def replace(network, name, cell):
    from common.quant.conversion import replace_cells

    replace_cells(network, {name: cell})


def test_an_image_does_not_depend_on_its_batch(mode):
    network, x = deciding(dynamic_network(spread=1.0)), random_input(64)
    logits, choice = decide(network, x)
    assert len(np.unique(choice)) == 3 and len(np.unique(choice, axis=0)) > 10
    for count in (1, 7):
        starts = range(0, 64 if count == 7 else 8, count)
        parts = [decide(network, x[start : start + count]) for start in starts]
        seen = sum(len(part[0]) for part in parts)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), choice[:seen])
        joined = np.concatenate([part[0] for part in parts])
        assert np.abs(joined - logits[:seen]).max() <= 1e-6 * np.abs(logits).max()  # the last layer is a matrix product


def test_evaluation_twice_is_identical_and_draws_nothing(mode):
    network, x = dynamic_network(spread=1.0), random_input(12)
    cell = deciding(network)
    first, second = decide(cell, x), decide(cell, x)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(network(Tensor(x)).asnumpy(), first[0])
    assert network.choose.noise.state.asnumpy()[1] == 0


def test_modes_agree():
    from common.runtime.context import execution_mode

    outputs = []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            outputs.append(decide(dynamic_network(spread=1.0), random_input(12)))
    np.testing.assert_array_equal(outputs[0][1], outputs[1][1])
    assert np.abs(outputs[0][0] - outputs[1][0]).max() < 1e-5 * np.abs(outputs[0][0]).max()


def test_every_trained_parameter_gets_a_gradient(mode):
    network, x = dynamic_network(spread=0.3), Tensor(random_input(24))
    network.set_train(True)
    weights = network.trainable_params()

    def loss(x):
        return (network(x) ** 2).sum()

    gradients = ops.grad(loss, None, weights)(x)
    silent = [p.name for p, g in zip(weights, gradients) if not np.abs(g.asnumpy()).max() > 0]
    assert silent == []
    assert {"controller.hidden.weight", "controller.last.bias", "layer3.0.conv2.clip"} <= {p.name for p in weights}


def test_dorefa_keeps_its_clips():
    names = {p.name for p in dynamic_network(quantizer="dorefa").trainable_params()}
    assert not any("clip" in name for name in names) and "controller.hidden.weight" in names


def test_calibrated_clips_are_inside_the_values(pynative):
    network = TinyResNet()
    clips = calibrate(network, [random_input(8, seed) for seed in (0, 1)], bits=3)
    assert sorted(clips) == sorted(STATIC + DYNAMIC) == sorted(inner_layers(network))
    fine = calibrate(network, [random_input(8, seed) for seed in (0, 1)], bits=8)
    assert all(0 < clips[name] < fine[name] for name in clips)  # more levels reach further


@pytest.mark.parametrize(
    ("bits", "static", "expected"),
    [(2, False, "3 to 7"), (8, False, "3 to 7"), (1, True, "2 to 8"), (9, True, "2 to 8"), (-1, False, "3 to 7")],
)
def test_bits_out_of_range_are_refused(bits, static, expected):
    with pytest.raises(ConfigError, match=f"bits: expected {expected}"):
        QuantConfig(bits, static=static)


def test_networks_of_another_kind_are_refused():
    with pytest.raises(ConfigError, match="ResNet with stages"):
        quantize_network(model("vgg_small").build(10), QuantConfig(4))


def test_the_noise_of_training_changes_choices():
    network = dynamic_network(spread=0.0)
    assert isinstance(network, DynamicNetwork)
    spread_choices(network, 0.0)
    network.set_train(True)
    cell = Decisions(network)
    cell.set_train(True)
    x = Tensor(random_input(40))
    first, second = (cell(x)[1].asnumpy() for _ in range(2))
    assert not np.array_equal(first, second) and first.mean((0, 1)) == pytest.approx([1 / 3] * 3, abs=0.12)
