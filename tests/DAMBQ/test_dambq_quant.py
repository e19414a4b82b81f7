"""The quantizers against the authors' values and against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from common.errors import ConfigError
from common.quant.layers import QuantConv2d, QuantDense
from DAMBQ.quant import EightBitWeight, MultiBitWeight, UniformActivation
from DAMBQ.tables import TABLES


def with_bits(cell, bits):
    cell.bits.set_data(Tensor(np.asarray(bits, np.int32)))
    return cell


def multi_bit(weight, bits, **options) -> MultiBitWeight:
    """A quantizer with bits of each channel and the scales that belong to them."""
    cell = with_bits(MultiBitWeight(weight, 4, **options), bits)
    cell.reset_scale(weight)
    return cell.set_train(False)


def laplace(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).laplace(0, 0.1, shape).astype(np.float32)


def test_weights_are_those_of_the_authors(golden, mode, native):
    cell = multi_bit(golden["w"], golden["w_bits"], native=native)
    np.testing.assert_allclose(cell.scale.asnumpy(), golden["w_clip"], rtol=1e-6)
    np.testing.assert_allclose(cell.scale.asnumpy(), golden["conv_alpha_wgt"], rtol=1e-6)
    np.testing.assert_allclose(cell(Tensor(golden["w"])).asnumpy(), golden["w_q"], rtol=0, atol=1e-6)


def test_activations_are_those_of_the_authors(golden, mode, native):
    cell = with_bits(UniformActivation(6, 4, float(golden["x_clip"]), native=native), golden["x_bits"])
    np.testing.assert_allclose(cell(Tensor(golden["x"])).asnumpy(), golden["x_q"], rtol=2e-6)


def golden_layer(golden, native) -> QuantConv2d:
    conv = nn.Conv2d(6, 10, 3, pad_mode="pad", padding=1, weight_init=Tensor(golden["w"]))
    weight = multi_bit(golden["w"], golden["w_bits"], native=native)
    inputs = with_bits(UniformActivation(6, 4, 3.0, native=native), golden["conv_x_bits"])
    layer = QuantConv2d(conv, weight, inputs, native).set_train(False)
    for name, parameter in layer.parameters_and_names():
        parameter.name = name
    return layer


def test_a_layer_has_the_outputs_gradients_and_sensitivities_of_the_authors(golden, mode, native):
    layer = golden_layer(golden, native)
    np.testing.assert_allclose(layer(Tensor(golden["x"])).asnumpy(), golden["conv_y"], rtol=0, atol=1e-5)
    inputs, weights = layer.quantize_input, layer.quantize_weight
    parameters = ParameterTuple([layer.weight, inputs.clip, weights.probe, inputs.probe])

    def product(x, dy):
        return (layer(x) * dy).sum()

    grad_x, rest = ops.grad(product, 0, parameters)(Tensor(golden["x"]), Tensor(golden["conv_gy"]))
    grad_w, grad_clip, weight_change, input_change = (g.asnumpy() for g in rest)
    np.testing.assert_allclose(grad_x.asnumpy(), golden["conv_gx"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(grad_w, golden["conv_gw"], rtol=0, atol=5e-5 * np.abs(golden["conv_gw"]).max())
    np.testing.assert_allclose(grad_clip, golden["conv_galpha"], rtol=1e-4)
    np.testing.assert_allclose(np.abs(weight_change) / 54, golden["conv_w_err"], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.abs(input_change) / (4 * 64), golden["conv_x_err"], rtol=1e-3, atol=1e-5)


def test_scales_follow_the_weights_in_training_only(mode, native):
    bits = np.array([0, 1, 2, 3, 4])
    cell = multi_bit(laplace(5, 7), bits, native=native)
    expected, clips = cell.scale.asnumpy().copy(), TABLES["v2"].clips[bits]
    for step in range(1, 4):
        weight = laplace(5, 7, seed=step) * 3
        cell.set_train(True)
        expected = 0.99 * expected + 0.01 * clips * np.abs(weight).mean(1)
        used = cell(Tensor(weight)).asnumpy()
        np.testing.assert_allclose(cell.scale.asnumpy(), expected, rtol=1e-6)
        cell.set_train(False)  # the step has used the scales that it has left
        np.testing.assert_array_equal(cell(Tensor(weight)).asnumpy(), used)
        np.testing.assert_allclose(cell.scale.asnumpy(), expected, rtol=1e-6)


def test_a_step_with_gradients_moves_the_scales_once(mode):
    weight = laplace(3, 9)
    dense = nn.Dense(9, 3, Tensor(weight * 2), has_bias=False)
    cell = multi_bit(weight, [2, 3, 4])
    layer = QuantDense(dense, cell, None).set_train(True)
    for name, parameter in layer.parameters_and_names():
        parameter.name = name
    start, images = cell.scale.asnumpy().copy(), Tensor(np.ones((2, 9), np.float32))

    def forward(x):
        return layer(x).sum()

    step_of = ops.value_and_grad(forward, None, ParameterTuple([layer.weight, cell.probe]))
    for step in range(1, 4):
        step_of(images)
        np.testing.assert_allclose(cell.scale.asnumpy(), start * (2 - 0.99**step), rtol=1e-5)


def test_scales_of_chosen_channels_are_set_anew():
    weight = laplace(4, 6)
    cell = multi_bit(weight, [4, 4, 4, 4])
    before = cell.scale.asnumpy().copy()
    with_bits(cell, [3, 3, 0, 1]).reset_scale(weight * 2, np.array([1, 3]))
    after, mean = cell.scale.asnumpy(), np.abs(weight).mean(1)
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_allclose(after[[1, 3]], [4.16 * 2 * mean[1], 0.98 * 2 * mean[3]], rtol=1e-6)


@pytest.mark.parametrize("table", list(TABLES))
def test_the_stored_numbers_of_weights_stand_for_the_simulated_values(table, mode, native):
    weight, bits = laplace(10, 50, 3, 3), np.arange(10) % 5
    cell = multi_bit(weight, bits, table=table, native=native)
    simulated = cell(Tensor(weight)).asnumpy()
    cell.set_train(True)
    integers = cell.to_int(weight)
    numbers, scale = integers.codes, integers.scale
    assert cell.training and integers.levels.name == table
    np.testing.assert_array_equal(integers.bits, bits)
    clips = TABLES[table].clips[bits] * (bits > 0)
    np.testing.assert_allclose(scale, clips * np.abs(weight).mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(integers.dequantize(), simulated)
    for row, count in enumerate(bits):
        codes = TABLES[table].codes(TABLES[table].levels(count)[numbers[row].reshape(-1)], count)
        sums = scale[row] * (codes @ TABLES[table].coefficients[count, :count])
        np.testing.assert_allclose(sums, simulated[row].reshape(-1), rtol=1e-6, atol=1e-9)
    assert len(np.unique(numbers[bits == 4])) == 16


def test_weights_of_zeros_stay_zeros():
    weight = laplace(3, 4)
    weight[1] = 0
    cell = multi_bit(weight, [0, 3, 2])
    integers, quantized = cell.to_int(weight), cell(Tensor(weight)).asnumpy()
    assert not quantized[:2].any() and quantized[2].all() and integers.scale[1] == 0
    np.testing.assert_array_equal(integers.dequantize(), quantized)


def test_eight_bit_weights_are_those_of_numpy(mode):
    weight = laplace(6, 2, 5, 5)
    weight[3] = 0
    cell = EightBitWeight()
    quantized = cell(Tensor(weight)).asnumpy()
    largest = np.abs(weight).max((1, 2, 3), keepdims=True).astype(np.float64)
    expected = np.rint(weight * 127 / np.maximum(largest, 1e-9)) * largest / 127
    np.testing.assert_allclose(quantized, expected, rtol=1e-6, atol=1e-9)
    integers = cell.to_int(weight)
    levels = integers.levels.levels(8)[integers.codes]
    assert np.abs(levels[[0, 1, 2, 4, 5]]).max((1, 2, 3)).min() == 127
    np.testing.assert_array_equal(integers.dequantize(), quantized)
    assert not quantized[3].any() and not levels[3].any() and np.isfinite(integers.scale).all()


def test_the_gradient_passes_eight_bit_weights_unchanged(mode):
    weight, factor = laplace(4, 9), laplace(4, 9, seed=1)
    weight[2] = 0
    cell = EightBitWeight()

    def product(w, f):
        return (cell(w) * f).sum()

    gradient = ops.grad(product)(Tensor(weight), Tensor(factor)).asnumpy()
    np.testing.assert_allclose(gradient, factor, rtol=1e-5)


def uniform(x: np.ndarray, bits: np.ndarray, clip: float) -> np.ndarray:
    """The equation, channels in the second place of x."""
    steps = (2.0 ** np.asarray(bits) - 1).reshape(1, -1, *[1] * (x.ndim - 2))
    return np.rint(np.clip(x, 0, clip) * steps / clip) * clip / np.maximum(steps, 1)


@pytest.mark.parametrize("features", [5, 15])
def test_activations_of_linear_layers_and_groups_of_features(features, mode, native):
    x = np.random.default_rng(0).normal(0.6, 1, (7, features)).astype(np.float32)
    bits = np.array([0, 1, 2, 4, 8])
    cell = with_bits(UniformActivation(5, 4, 1.7, native=native), bits)
    quantized = cell(Tensor(x)).asnumpy()
    expected = uniform(x.reshape(7, 5, -1).astype(float), bits, 1.7).reshape(7, features)
    assert quantized.shape == x.shape
    np.testing.assert_allclose(quantized, expected, rtol=0, atol=1e-6)


def test_a_clip_below_zero_does_not_turn_the_levels_round(mode):
    cell = UniformActivation(2, 3)
    cell.clip.set_data(Tensor(np.array([-0.5], np.float32)))
    quantized = cell(Tensor(np.array([[0.2, -1.0]], np.float32))).asnumpy()
    assert 0 < quantized[0, 0] <= 1e-4 and quantized[0, 1] == 0


def test_only_the_state_of_allocated_quantizers_is_trained():
    trained = [[p.name for p in UniformActivation(2, 4, allocated=yes).trainable_params()] for yes in (True, False)]
    assert [len(names) for names in trained] == [2, 1]
    cell = MultiBitWeight(laplace(3, 4), 4)
    assert cell.trainable_params() == [cell.probe] and not cell.probe.asnumpy().any()
    assert cell.bits.dtype == ms.int32 and cell.sensitivity.shape == (3,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MultiBitWeight(laplace(2, 3), 5),
        lambda: MultiBitWeight(laplace(2, 3), -1),
        lambda: MultiBitWeight(laplace(2, 3), 4, "v3"),
        lambda: UniformActivation(3, 9),
        lambda: UniformActivation(3, -1),
        lambda: UniformActivation(3, 4, 0.0),
        lambda: UniformActivation(3, 4, -1.0),
        lambda: QuantDense(nn.Dense(6, 2), None, UniformActivation(4, 4)),
        lambda: QuantDense(nn.Dense(6, 2, activation="relu"), None, None),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ConfigError, match="found"):
        make()
