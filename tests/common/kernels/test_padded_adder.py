"""Adder layers of any window against sums of distances in float64."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from common.errors import ConfigError
from common.kernels.padded_conv import same_padding
from common.models.adder import Adder2d

CASES = {
    "pad": {"kernel": 3, "stride": 2, "padding": 1},
    "same": {"kernel": 3, "stride": 2, "pad_mode": "same"},
    "same, even": {"kernel": 2, "pad_mode": "same"},
    "dilated": {"kernel": 3, "padding": 2, "dilation": 2},
    "same, dilated": {"kernel": 3, "stride": 2, "pad_mode": "same", "dilation": 2},
    "valid": {"kernel": 3, "pad_mode": "valid"},
}


def distances(x, w, stride, sides, dilation):
    top, bottom, left, right = sides
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = dilation * (w.shape[2] - 1) + 1
    rows, columns = ((size - reach) // stride + 1 for size in x.shape[2:])
    y = np.zeros((len(x), len(w), rows, columns))
    for f, i, j in np.ndindex(len(w), rows, columns):
        window = x[:, :, i * stride :, j * stride :][:, :, :reach:dilation, :reach:dilation]
        y[:, f, i, j] = -np.abs(window - w[f]).sum((1, 2, 3))
    return y


@pytest.mark.parametrize("case", CASES)
def test_distances_are_those_of_the_windows(mode, case):
    layer, rng = Adder2d(3, 4, **CASES[case]), np.random.default_rng(0)
    x = rng.normal(0, 1, (2, 3, 9, 8)).astype(np.float32)
    kernel, stride, dilation = layer.kernel, layer.stride, layer.dilation
    sides = layer.sides or same_padding((9, 8), (kernel,) * 2, (stride,) * 2, (dilation,) * 2)
    expected = distances(x, layer.weight.asnumpy(), stride, sides, dilation)
    np.testing.assert_allclose(layer(Tensor(x)).asnumpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_dilated_layer_learns_as_adder_layers_do(pynative):
    """The gradient of the weights has the norm that AdderNet's rescaling gives it."""
    layer = Adder2d(3, 4, 3, padding=2, dilation=2)
    x = Tensor(np.random.default_rng(0).normal(0, 1, (2, 3, 8, 8)).astype(np.float32))
    (grad,) = ms.grad(lambda image: layer(image).sum(), None, layer.trainable_params())(x)
    assert float(np.linalg.norm(grad.asnumpy())) == pytest.approx(0.2 * layer.weight.size**0.5, rel=1e-4)


@pytest.mark.parametrize("options", [{"pad_mode": "full"}, {"pad_mode": "same", "padding": 1}])
def test_padding_that_is_none_is_refused(options):
    with pytest.raises(ConfigError, match="adder layer: expected pad_mode pad, same, valid"):
        Adder2d(3, 4, 3, **options)
