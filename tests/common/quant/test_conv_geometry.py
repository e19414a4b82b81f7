"""The geometry of layers against what MindSpore's own layers compute."""

import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.lib.stride_tricks import sliding_window_view

from common.errors import ConfigError
from common.models.layers import NativeConv2d
from common.quant.conv_geometry import ConvGeometry, conv_geometry

CASES = {
    "plain": {"kernel_size": 3, "pad_mode": "pad", "padding": 1},
    "sides": {"kernel_size": 3, "pad_mode": "pad", "padding": (0, 1, 2, 3)},
    "strided": {"kernel_size": (3, 2), "stride": (2, 3), "pad_mode": "pad", "padding": (1, 0, 2, 1)},
    "dilated": {"kernel_size": 3, "dilation": (2, 1), "pad_mode": "pad", "padding": (2, 2, 1, 1)},
    "valid": {"kernel_size": (2, 3), "stride": 2, "pad_mode": "valid"},
    "same": {"kernel_size": 3, "pad_mode": "same"},
    "same, even": {"kernel_size": (4, 2), "pad_mode": "same"},
    "same, dilated": {"kernel_size": 3, "dilation": 2, "pad_mode": "same"},
    "same, strided": {"kernel_size": 3, "stride": 2, "pad_mode": "same"},
    "same, strides": {"kernel_size": (5, 2), "stride": (3, 2), "pad_mode": "same"},
    "same, strided and dilated": {"kernel_size": 3, "stride": 2, "dilation": 2, "pad_mode": "same"},
    "groups": {"kernel_size": 1, "group": 3, "has_bias": True, "pad_mode": "valid"},
}


def computed(x, weight, geometry):
    """The convolution of one group (N, C, H, W) by this geometry alone."""
    top, bottom, left, right = geometry.padding_of(*x.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = [d * (k - 1) + 1 for d, k in zip(geometry.dilation, geometry.kernel)]
    windows = sliding_window_view(padded, reach, axis=(2, 3))[:, :, :: geometry.stride[0], :: geometry.stride[1]]
    windows = windows[..., :: geometry.dilation[0], :: geometry.dilation[1]]
    return np.einsum("ncyxij,fcij->nfyx", windows, weight)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(9, 8), (6, 11)])
def test_output_is_that_of_mindspore(pynative, case, size):
    layer, rng = nn.Conv2d(3, 6, **CASES[case]), np.random.default_rng(0)
    geometry = conv_geometry(layer)
    x = rng.normal(0, 1, (2, 3, *size)).astype(np.float32)
    expected = layer(Tensor(x)).asnumpy()
    assert (2, 6, *geometry.output_size(*size)) == expected.shape
    if geometry.groups == 1:
        np.testing.assert_allclose(computed(x, layer.weight.asnumpy(), geometry), expected, rtol=1e-4, atol=1e-4)


def test_attributes():
    layer = nn.Conv2d(6, 6, (3, 2), (2, 1), "pad", (1, 2, 3, 4), (1, 2), group=3, has_bias=True)
    assert conv_geometry(layer) == ConvGeometry((3, 2), (2, 1), (1, 2, 3, 4), (1, 2), 3, True)
    assert conv_geometry(nn.Conv2d(3, 4, 5, pad_mode="valid")) == ConvGeometry(kernel=(5, 5))
    assert conv_geometry(nn.Dense(3, 4)) == ConvGeometry(bias=True)
    assert conv_geometry(nn.Dense(3, 4, has_bias=False)) == ConvGeometry()
    assert conv_geometry(NativeConv2d(3, 4, 3, 2, 1)) == ConvGeometry((3, 3), (2, 2), (1, 1, 1, 1))


def test_image_smaller_than_the_kernel():
    assert min(ConvGeometry(kernel=(3, 3)).output_size(2, 5)) == 0


def test_layers_without_a_geometry():
    with pytest.raises(ConfigError, match="expected a layer Conv2d or Dense, found Conv1d"):
        conv_geometry(nn.Conv1d(3, 4, 3))
