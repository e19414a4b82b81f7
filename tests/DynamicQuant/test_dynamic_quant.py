"""The dynamic convolution and the static one it is compared with."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.kernels import native_available
from common.models.layers import conv2d
from common.quant.dorefa import dorefa, fitted_scale
from DynamicQuant.quant import CandidateWeights, DynamicConv2d, static_conv2d


def layer(stride=1):
    conv = conv2d(5, 6, 3, stride, 1)
    conv.weight.set_data(Tensor(np.random.default_rng(0).normal(0, 0.2, (6, 5, 3, 3)).astype(np.float32)))
    return conv


def inputs(count=6):
    return np.abs(np.random.default_rng(1).normal(0, 1, (count, 5, 9, 9))).astype(np.float32)


def mask_of(choice) -> Tensor:
    return Tensor(np.eye(3, dtype=np.float32)[choice])


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("branch", range(3))
def test_a_branch_alone_is_the_static_layer_of_its_width(pynative, branch, learned):
    bits = (3, 4, 5)
    dynamic = DynamicConv2d(layer(2), bits, 1.7, learned)
    static = static_conv2d(layer(2), bits[branch], 1.7, learned)
    x, mask = Tensor(inputs()), mask_of(np.full(6, branch))
    y, wanted = dynamic(x, mask).asnumpy(), static(x).asnumpy()
    np.testing.assert_array_equal(y, wanted)
    gy = Tensor(np.random.default_rng(2).normal(0, 1, y.shape).astype(np.float32))
    dynamic_gradients = ops.grad(lambda x: (dynamic(x, mask) * gy).sum(), 0, dynamic.trainable_params())(x)
    expected = ops.grad(lambda x: (static(x) * gy).sum(), 0, static.trainable_params())(x)
    np.testing.assert_array_equal(dynamic_gradients[0].asnumpy(), expected[0].asnumpy())
    ours, theirs = ([g.asnumpy() for g in gradients[1]] for gradients in (dynamic_gradients, expected))
    assert len(ours) == len(theirs) == 1 + learned
    for a, b in zip(ours, theirs):  # sums in float32, taken in another way
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6 * np.abs(b).max())


def test_each_image_gets_its_own_branch(pynative):
    dynamic, choice = DynamicConv2d(layer(), (2, 3, 4), 1.7), [0, 2, 1, 1, 0, 2]
    outputs = dynamic(Tensor(inputs()), mask_of(choice)).asnumpy()
    for number, branch in enumerate(choice):
        alone = static_conv2d(layer(), (2, 3, 4)[branch], 1.7)(Tensor(inputs()[number : number + 1])).asnumpy()
        np.testing.assert_array_equal(outputs[number], alone[0])
    other = dynamic(Tensor(inputs()), mask_of([1] * 6)).asnumpy()
    assert [np.array_equal(*pair) for pair in zip(outputs, other)] == [branch == 1 for branch in choice]


def test_scales_bring_each_width_nearest_to_the_weights():
    weight = layer().weight.asnumpy()
    for bits in (2, 3, 5, 8):
        scale, levels = fitted_scale(weight, bits), dorefa(weight, bits)
        errors = [((weight - tried * levels) ** 2).sum() for tried in (0.98 * scale, scale, 1.02 * scale)]
        assert errors[1] < errors[0] and errors[1] < errors[2]
    assert fitted_scale(np.zeros((2, 3), np.float32), 3) != 0


def test_codes_rebuild_the_quantized_weights_bit_for_bit(pynative):
    weight = layer().weight.asnumpy()
    cell = CandidateWeights(weight, (2, 3, 4))
    values = cell(Tensor(weight)).asnumpy()
    for value, bits, integers in zip(values, (2, 3, 4), cell.to_int(weight), strict=True):
        assert integers.bits.tolist() == [bits] and integers.codes.max() <= 2**bits - 1
        np.testing.assert_array_equal(integers.dequantize(), value)


@pytest.mark.parametrize("native", [True, False], ids=["native", "fallback"])
def test_native_and_fallback_agree_in_both_modes(mode, native):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    cells = [DynamicConv2d(layer(), (2, 3, 4), 1.7, True, native=forced) for forced in (native, None)]
    x, mask = Tensor(inputs()), mask_of([0, 1, 2, 2, 1, 0])
    outputs = [cell(x, mask).asnumpy() for cell in cells]
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-5


@pytest.mark.parametrize("bits", [(1, 2, 3), (7, 8, 9)])
def test_widths_outside_2_to_8_are_refused(bits):
    with pytest.raises(ConfigError, match="expected 2 to 8 bits"):
        DynamicConv2d(layer(), bits)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, 2, pad_mode="same"),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=1, group=2),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=1, has_bias=True),
        nn.Conv2d(4, 4, 3, (1, 2), pad_mode="valid"),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=(1, 1, 2, 2)),
    ],
    ids=["same", "groups", "bias", "stride", "padding"],
)
def test_convolutions_of_any_geometry_are_taken(pynative, conv):
    x = np.abs(np.random.default_rng(0).normal(0, 1, (3, 4, 9, 9))).astype(np.float32)
    wanted = conv(Tensor(x)).asnumpy()
    outputs = DynamicConv2d(conv, (6, 7, 8), 4.0)(Tensor(x), mask_of([0, 1, 2])).asnumpy()
    assert outputs.shape == wanted.shape
    errors = np.abs(outputs - wanted).max((1, 2, 3)) / np.abs(wanted).max()
    assert (errors > 0).all() and (errors < 0.1).all()
