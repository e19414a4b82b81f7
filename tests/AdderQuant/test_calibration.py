"""The quantized network against its simulation, and what calibration refuses, repeats and changes."""

import numpy as np
import pytest
from mindspore import Tensor

from AdderQuant.calibration import CalibrationData, calibrate, input_ranges, observe_inputs
from AdderQuant.convert import quantize_network
from AdderQuant.histogram import MagnitudeHistogram
from AdderQuant.network import adder_layers
from AdderQuant.quant_config import QuantConfig
from common.checkpoint import network_state
from common.data import CIFAR10, open_dataset
from common.errors import DataError, QuantizationError
from common.kernels import AdderInt8
from common.models.registry import model
from common.runtime.context import execution_mode


def quantized(network, batches, config):
    """The network on integers, its layers not fused."""
    return quantize_network(network, config, input_ranges(observe_inputs(network, batches), config))


@pytest.mark.parametrize(
    ("scheme", "bits"), [pytest.param("two-sided", 8, marks=pytest.mark.slow), ("two-sided", 3), ("paper", 4)]
)
def test_integer_and_simulated_sums_are_equal_in_every_layer(float_network, real_images, scheme, bits):
    """The C++ operator on bytes against MindSpore's float operators on rounded values, on real images."""
    network = quantized(float_network, real_images, QuantConfig(bits, scheme))
    layers, inputs = adder_layers(network), {}
    with execution_mode("pynative"):
        for name, layer in layers.items():
            layer.register_forward_pre_hook(lambda _, x, name=name: inputs.update({name: x[0].asnumpy()}))
        network.set_train(False)
        network(Tensor(real_images[0][:4]))
        assert len(inputs) == 20
        for name, layer in layers.items():
            sums = [_sums(layer, Tensor(inputs[name]), native) for native in (True, False)]
            assert np.array_equal(*sums), name
            assert sums[0].max() > 0


def _sums(layer, x, native):
    nothing = np.zeros(len(layer.bias))
    identity = Tensor(np.stack((nothing + 1, nothing, nothing)).astype(np.float32))
    conv = AdderInt8(layer.stride, layer.padding, native=native)
    return conv(x, layer.codes, layer.group, layer.steps, layer.qmax, identity).asnumpy()


@pytest.mark.slow
def test_fused_layers_equal_layer_norm_residual_and_relu(float_network, real_images):
    """Layer by layer on the same input: further on, a difference in the last bit may turn into another code."""
    network = quantized(float_network, real_images, QuantConfig(6))
    network.set_train(False)
    x = network.act(network.bn1(network.conv1(Tensor(real_images[0][:4]))))
    for block in (*network.layer1, *network.layer2, *network.layer3):
        hidden = block.act1(block.bn1(block.conv1(x)))
        shortcut = x if block.downsample is None else block.downsample(x)
        x_next = block.act2(block.bn2(block.conv2(hidden)) + shortcut)
        pairs = [(block.conv1.fused(x, block.bn1, None, True), hidden)]
        pairs += [(block.conv2.fused(hidden, block.bn2, shortcut, True), x_next)]
        if block.downsample is not None:
            pairs += [(block.downsample[0].fused(x, block.downsample[1], None, False), shortcut)]
        for fused, plain in pairs:
            assert np.abs(fused.asnumpy() - plain.asnumpy()).max() < 1e-4
        x = x_next


def test_negative_inputs_need_the_paper_scheme(float_network, real_images):
    inputs = observe_inputs(float_network, real_images[:1])
    inputs["layer2.0.conv1"].add(np.array([-0.5], np.float32))
    with pytest.raises(QuantizationError, match=r"layer2\.0\.conv1.*found -0\.5.*--scheme paper"):
        input_ranges(inputs, QuantConfig(4))
    assert len(input_ranges(inputs, QuantConfig(4, "paper"))) == 20


def test_dead_inputs_and_empty_sets_are_refused(float_network):
    statistics = MagnitudeHistogram()
    statistics.add(np.zeros(5, np.float32))
    with pytest.raises(QuantizationError, match="inputs are 0"):
        input_ranges({"layer": statistics}, QuantConfig(4, "paper"))
    with pytest.raises(DataError, match="empty"):
        observe_inputs(float_network, [])


def test_every_image_is_observed_once_at_any_count(float_network, lossless):
    data = CalibrationData(open_dataset("cifar10", lossless, "train").head(130), CIFAR10)
    assert sum(map(len, data.plain())) == 130


def test_augmented_batches_depend_on_the_seed_alone(lossless):
    data = CalibrationData(open_dataset("cifar10", lossless, "train").head(300), CIFAR10, reestimation_batches=5)
    runs = [list(data.augmented(seed)) for seed in (0, 0, 1)]
    assert [len(run) for run in runs] == [5, 5, 5]
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not np.array_equal(runs[0][0], runs[2][0])
    assert not np.array_equal(runs[0][0], runs[0][2])  # the second pass over the images differs from the first


def test_calibration_is_reproducible_and_keeps_what_is_no_adder_layer(float_network, lossless):
    data = CalibrationData(open_dataset("cifar10", lossless, "train").head(128), CIFAR10, 1)
    before, states = network_state.state(float_network), []
    for _ in range(2):
        network = model("adder_resnet20").build(10)
        network_state.restore(network, before)
        states.append(network_state.state(calibrate(network, QuantConfig(4, reestimate=True), data)))
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    kept = [name for name in before if name in states[0] and "moving" not in name]
    assert len(before) - len(kept) == 20 + 2 * 22  # weights of adder layers, statistics of BatchNorms
    assert all(np.array_equal(states[0][name], before[name]) for name in kept)
