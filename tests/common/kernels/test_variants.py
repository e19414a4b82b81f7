"""The kernels as they are compiled for other processors: registers of other widths, another number of them."""

import adder_oracle
import batch_norm_oracle
import conv_oracle
import fake_quant_oracle
import numpy as np
import pytest
import selected_conv_oracle
from conv_calls import TOLERANCE, call_all, check
from fake_quant_calls import CLIP
from kernel_variants import VARIANTS, each_variant
from test_adder_int8 import identity, sample


@each_variant
@pytest.mark.parametrize(
    ("size", "qmax"), list(zip(adder_oracle.SIZES, [255, 3, 127, 15, 255, 63, 7, 255, 31])), ids=str
)
def test_integer_sums_are_exact(variant, size, qmax):
    x, codes, group, steps = sample(*size, qmax)
    found = adder_oracle.call_int8(variant, x, codes, group, steps, qmax, identity(len(codes)), *size[7:])
    assert np.array_equal(found, adder_oracle.integer_sums(x, codes, group, steps, qmax, *size[7:]))


@each_variant
@pytest.mark.parametrize(("kind", "oracle"), [("Conv", conv_oracle), ("Adder", adder_oracle)])
@pytest.mark.parametrize("size", [*conv_oracle.CONV_SIZES, (17, 9, 9, 33, 17, 3, 3, 1, 1)], ids=str)
def test_convolutions_and_their_gradients(variant, size, kind, oracle):
    x, w, gy = conv_oracle.sample(*size)
    gradients = [gradient(x, w, gy, *size[7:]) for gradient in (oracle.input_gradient, oracle.weight_gradient)]
    check(call_all(variant, kind, x, w, gy, *size[7:]), [oracle.forward(x, w, *size[7:]), *gradients])


@each_variant
@pytest.mark.parametrize("size", conv_oracle.CONV_SIZES, ids=str)
def test_convolutions_of_training(variant, size):
    x, w, gy = conv_oracle.sample(*size)
    geometry = np.array(size[7:], np.int32)
    y = adder_oracle.call(variant, "ConvForwardTrain", [x, w, geometry], np.full(gy.shape, np.nan, np.float32))
    assert conv_oracle.error(y, conv_oracle.forward(x, w, *size[7:])) < TOLERANCE


@each_variant
@pytest.mark.parametrize(("least", "most"), [(0, 4), (-0.0, 4), (-1, 32), (-1.001, 4), (0, 33)], ids=str)
@pytest.mark.parametrize(
    "size", [*adder_oracle.SIZES, (2, 33, 7, 9, 40, 3, 3, 2, 1), (2, 9, 8, 8, 20, 3, 3, 1, 1)], ids=str
)
def test_adder_of_inputs_within_bounds_and_just_outside(variant, size, least, most):
    """Inputs behind a ReLU have tiles of their own; the first image alone has the values at the bounds."""
    x, w, gy = conv_oracle.sample(*size)
    x = np.abs(x) % 3
    x[0, 0, 0, 0], x[0, -1, -1, -1] = least, most
    gradients = [
        gradient(x, w, gy, *size[7:]) for gradient in (adder_oracle.input_gradient, adder_oracle.weight_gradient)
    ]
    check(call_all(variant, "Adder", x, w, gy, *size[7:]), [adder_oracle.forward(x, w, *size[7:]), *gradients])


@each_variant
@pytest.mark.parametrize("size", [*conv_oracle.GROUPED_SIZES, (2, 9, 14, 14, 9, 3, 3, 1, 1, 9)], ids=str)
def test_convolutions_of_groups_and_their_gradients(variant, size):
    inputs = conv_oracle.sample(*size)
    check(call_all(variant, "Grouped", *inputs, *size[7:9]), conv_oracle.grouped(*inputs, *size[7:]))


@each_variant
@pytest.mark.parametrize("levels", [True, False], ids=["levels", "any weights"])
@pytest.mark.parametrize("size", selected_conv_oracle.SIZES, ids=str)
def test_convolutions_whose_images_choose(variant, size, levels):
    """Weights that are no whole multiples of their step have scores of floats."""
    x, weights, mask, gy = selected_conv_oracle.sample(*size, levels=levels)
    y, of_x, of_w, of_clip, of_mask = selected_conv_oracle.expected(x, weights, mask, gy, *size[7:])
    common = np.tensordot(selected_conv_oracle.SCALE.astype(np.float64), of_w, 1)
    found = selected_conv_oracle.call_all(variant, x, weights, mask, gy, *size[7:], levels)
    for own, wanted in zip(found, (y, y, of_x, of_clip, common, of_mask), strict=True):
        assert conv_oracle.error(own, wanted) < TOLERANCE


@each_variant
@pytest.mark.parametrize("shape", batch_norm_oracle.SHAPES, ids=str)
def test_batch_norm_and_its_gradients(variant, shape):
    sample, eps = batch_norm_oracle.sample(shape), np.full(1, batch_norm_oracle.EPS, np.float32)
    y, gx, ggamma, gbeta, *_ = batch_norm_oracle.training(sample)
    outputs = [np.full(like.shape, np.nan, np.float32) for like in (y, gbeta, gbeta, gx, ggamma, gbeta)]
    inputs = [sample.x, sample.gamma, sample.beta, eps, *outputs[:2]]
    adder_oracle.call(variant, "BatchNormTrain", inputs, outputs[2])
    inputs = [sample.x, sample.gy, sample.gamma, *outputs[1:3], eps, *outputs[3:5]]
    adder_oracle.call(variant, "BatchNormTrainGrad", inputs, outputs[5])
    for found, expected in zip([outputs[0], *outputs[3:]], (y, gx, ggamma, gbeta), strict=True):
        assert conv_oracle.error(found, expected) < TOLERANCE


@each_variant
@pytest.mark.parametrize(("shape", "first"), fake_quant_oracle.SHAPES, ids=str)
def test_gradients_of_uniform_quantization(variant, shape, first):
    x, bits, gy = fake_quant_oracle.uniform_sample(shape, first, CLIP)
    outputs = [np.full(size, np.nan, np.float32) for size in (x.shape, 1, len(bits))]
    inputs = [x, bits, CLIP.reshape(1), np.zeros(1, np.float32), gy, np.ones(1, np.int32), *outputs[:2]]
    adder_oracle.call(variant, "UniformQuantizeGrad", inputs, outputs[2])
    for found, expected in zip(outputs, fake_quant_oracle.uniform_gradients(x, bits, CLIP, gy), strict=True):
        assert conv_oracle.error(found, expected) < TOLERANCE


@each_variant
def test_variants_use_their_instructions(variant, flags):
    wanted = VARIANTS[flags][1]
    assert wanted is None or adder_oracle.text_of(variant, "SadName") == wanted
