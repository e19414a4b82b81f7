"""Streaming statistics against NumPy on all data at once, and the quantized network against its simulation."""

import numpy as np
import pytest
from mindspore import Tensor

from AdderQuant.calibration import (
    CalibrationData,
    Quantization,
    calibrate,
    fill_quantized,
    input_ranges,
    observe_inputs,
)
from AdderQuant.histogram import MagnitudeHistogram
from AdderQuant.network import adder_layers, quant_adder_resnet
from common.data import CIFAR10, open_dataset
from common.errors import DataError, QuantizationError
from common.kernels import AdderInt8
from common.runtime.context import execution_mode


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9, 0.999, 0.9997, 1.0])
def test_quantile_of_chunks_is_that_of_all_values(ratio):
    values = np.abs(np.random.default_rng(0).standard_t(3, 100_003)).astype(np.float32)
    streaming = MagnitudeHistogram()
    for chunk in np.array_split(values, 7):
        streaming.add(chunk)
    below, above = (np.quantile(values, ratio, method=method) for method in ("lower", "higher"))
    assert below * (1 - 3e-4) <= streaming.quantile(ratio) <= above * (1 + 3e-4)
    assert streaming.minimum == values.min()


def test_quantile_counts_zeros_and_magnitudes():
    streaming = MagnitudeHistogram()
    streaming.add(np.array([[-4.0, 0.0], [0.0, 0.0]], np.float32))
    assert streaming.quantile(0.5) == 0
    assert streaming.quantile(1.0) == pytest.approx(4, rel=3e-4)
    assert streaming.minimum == -4


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_least_error_range_is_the_best_of_all_ranges_but_for_the_step_of_the_search(bits):
    values = np.abs(np.random.default_rng(0).standard_t(4, 50_000)).astype(np.float32)
    histogram = MagnitudeHistogram()
    histogram.add(values)

    def error(reach):
        step = reach / (2**bits - 1)
        return ((values - step * np.rint(np.clip(values, 0, reach) / step)) ** 2).mean()

    best = min(map(error, np.geomspace(np.quantile(values, 0.98), values.max(), 200)))
    assert error(histogram.least_error_range(bits)) <= 1.15 * best


def ranges_of(network, batches, wanted):
    return input_ranges(observe_inputs(network, batches), wanted)


@pytest.mark.parametrize(
    ("scheme", "bits"), [pytest.param("two-sided", 8, marks=pytest.mark.slow), ("two-sided", 3), ("paper", 4)]
)
def test_integer_and_simulated_sums_are_equal_in_every_layer(float_network, real_images, scheme, bits):
    """The C++ operator on bytes against MindSpore's float operators on rounded values, on real images."""
    network = quant_adder_resnet(fused=False)
    wanted = Quantization(bits, scheme)
    fill_quantized(float_network, network, ranges_of(float_network, real_images, wanted), wanted)
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
    identity = Tensor(np.stack((np.ones(len(layer.bias)), np.zeros(len(layer.bias)))).astype(np.float32))
    conv = AdderInt8(layer.stride, layer.padding, native=native)
    return conv(x, layer.codes, layer.group, layer.steps, layer.qmax, identity).asnumpy()


def test_fused_layers_equal_layer_norm_residual_and_relu(float_network, real_images):
    """Layer by layer on the same input: further on, a difference in the last bit may turn into another code."""
    network = quant_adder_resnet(fused=False)
    wanted = Quantization(6)
    fill_quantized(float_network, network, ranges_of(float_network, real_images, wanted), wanted)
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
    found = observe_inputs(float_network, real_images[:1])
    found["layer2.0.conv1"].add(np.array([-0.5], np.float32))
    with pytest.raises(QuantizationError, match=r"layer2\.0\.conv1.*found -0\.5.*--scheme paper"):
        input_ranges(found, Quantization(4))
    assert len(input_ranges(found, Quantization(4, "paper"))) == 20


def test_dead_inputs_and_empty_sets_are_refused(float_network):
    statistics = MagnitudeHistogram()
    statistics.add(np.zeros(5, np.float32))
    with pytest.raises(QuantizationError, match="inputs are 0"):
        input_ranges({"layer": statistics}, Quantization(4, "paper"))
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


def test_calibration_is_reproducible_and_keeps_the_float_network(float_network, lossless):
    data = CalibrationData(open_dataset("cifar10", lossless, "train").head(128), CIFAR10, 1)
    before = {p.name: p.asnumpy().copy() for p in float_network.get_parameters()}
    shape = {"network": "adder_resnet20", "num_classes": 10}
    runs = [calibrate(float_network, shape, Quantization(4, reestimate=True), data) for _ in range(2)]
    states = [{p.name: p.asnumpy() for p in run.get_parameters()} for run in runs]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert all(np.array_equal(p.asnumpy(), before[p.name]) for p in float_network.get_parameters())
