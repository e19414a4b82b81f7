import numpy as np
import pytest

from common.errors import DataError, QuantizationError
from common.quant.conv_geometry import ConvGeometry
from LDNQ.hessian import InputMoment, patches, shrunk, split_matrix, weight_matrix

CASES = {
    "3x3": ({"kernel": (3, 3), "padding": (1, 1, 1, 1)}, {"padding": 1}),
    "stride": ({"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 1)}, {"padding": 1, "stride": 2}),
    "stem": ({"kernel": (7, 7), "stride": (2, 2), "padding": (3, 3, 3, 3)}, {"padding": 3, "stride": 2}),
    "1x1": ({"stride": (2, 1)}, {"stride": (2, 1)}),
    "oblong": ({"kernel": (1, 3), "padding": (0, 0, 1, 1), "stride": (1, 2)}, {"padding": (0, 1), "stride": (1, 2)}),
    "dilated": (
        {"kernel": (3, 2), "dilation": (2, 3), "padding": (2, 2, 1, 1)},
        {"padding": (2, 1), "dilation": (2, 3)},
    ),
    "groups": ({"kernel": (3, 3), "groups": 2}, {"groups": 2}),
    "depthwise": ({"kernel": (3, 3), "groups": 4, "padding": (1, 1, 1, 1)}, {"groups": 4, "padding": 1}),
    "bias": ({"kernel": (3, 3), "padding": (1, 1, 1, 1), "bias": True}, {"padding": 1}),
    "grouped bias": ({"kernel": (3, 3), "groups": 2, "bias": True}, {"groups": 2}),
}


@pytest.mark.parametrize("case", CASES)
def test_patches_times_weights_are_the_convolution(case):
    torch = pytest.importorskip("torch")
    ours, theirs = CASES[case]
    geometry = ConvGeometry(**ours)
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(3, 4, 9, 8))
    weight = generator.normal(size=(8, 4 // geometry.groups, *geometry.kernel))
    bias = generator.normal(size=8) if geometry.bias else None
    tensors = [None if array is None else torch.tensor(array) for array in (inputs, weight, bias)]
    expected = torch.nn.functional.conv2d(*tensors, **theirs).numpy()
    rows = weight_matrix(weight, bias, geometry.groups)
    product = rows @ patches(inputs, geometry)  # (groups, F / groups, N OH OW)
    count, _, height, width = expected.shape
    output = product.reshape(8, count, height, width).transpose(1, 0, 2, 3)
    np.testing.assert_allclose(output, expected, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_the_hessian_measures_the_change_of_the_output(case):
    torch = pytest.importorskip("torch")
    ours, theirs = CASES[case]
    geometry = ConvGeometry(**ours)
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(5, 4, 9, 8))
    change = generator.normal(size=(8, 4 // geometry.groups, *geometry.kernel))
    shift = generator.normal(size=8) if geometry.bias else None
    tensors = [None if array is None else torch.tensor(array) for array in (inputs, change, shift)]
    output = torch.nn.functional.conv2d(*tensors, **theirs).numpy()
    moment = InputMoment(geometry)
    for batch in (inputs[:2], inputs[2:]):
        moment.add(batch)
    rows = weight_matrix(change, shift, geometry.groups)
    error = 0.5 * np.einsum("gfi,gij,gfj->", rows, moment.hessian, rows)
    assert error == pytest.approx(0.5 * np.square(output).sum(1).mean(), rel=1e-10)


def test_batches_add_up_to_the_direct_sum_of_outer_products():
    inputs = np.random.default_rng(2).normal(size=(7, 5))
    moment = InputMoment(ConvGeometry(bias=True))
    for start in (0, 3, 6):
        moment.add(inputs[start : start + 3].astype(np.float32))
    expected = sum(np.outer(p, p) for p in np.hstack([inputs, np.ones((7, 1))])) / 7
    np.testing.assert_allclose(moment.hessian[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("shape", "groups"), [((6, 2, 3, 3), 1), ((6, 2, 3, 3), 3), ((4, 5), 1)])
def test_matrices_split_into_what_they_were_made_of(shape, groups, bias):
    weight = np.random.default_rng(3).normal(size=shape)
    given = np.arange(shape[0], dtype=float) if bias else None
    back, shift = split_matrix(weight_matrix(weight, given, groups), shape, bias)
    assert np.array_equal(back, weight)
    assert shift is None if given is None else np.array_equal(shift, given)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="at least one image"):
        InputMoment(ConvGeometry()).hessian  # noqa: B018
    with pytest.raises(QuantizationError, match="groups"):
        patches(np.zeros((1, 3, 8, 8)), ConvGeometry(groups=2))
    with pytest.raises(QuantizationError, match="kernel"):
        patches(np.zeros((1, 3, 2, 2)), ConvGeometry(kernel=(3, 3)))
    moment = InputMoment(ConvGeometry())
    moment.add(np.zeros((1, 3, 2, 2)))
    with pytest.raises(QuantizationError, match="patches"):
        moment.add(np.zeros((1, 4, 2, 2)))


def test_shrinkage_keeps_the_trace_and_makes_singular_moments_regular():
    inputs = np.random.default_rng(0).normal(size=(2, 5, 3))
    hessian = inputs @ inputs.transpose(0, 2, 1)  # of rank 3
    found = shrunk(hessian, 0.2)
    assert np.array_equal(shrunk(hessian, 0.0), hessian)
    np.testing.assert_allclose(np.trace(found, axis1=1, axis2=2), np.trace(hessian, axis1=1, axis2=2))
    for one, other in zip(found, hessian):
        low = 0.2 * np.trace(other) / 5
        wanted = 0.8 * np.linalg.eigvalsh(other) + low
        np.testing.assert_allclose(np.linalg.eigvalsh(one), wanted, atol=1e-9)
