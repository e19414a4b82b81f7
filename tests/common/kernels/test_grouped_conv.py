"""Convolutions of groups, depthwise ones among them, and their gradients against float64 NumPy and PyTorch."""

import conv_oracle as oracle
import numpy as np
import pytest
from conv_calls import TOLERANCE, call_all, check, convolve, torch_convolution
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from common.errors import ConfigError
from common.kernels import build, native_available
from common.kernels.conv import float_conv2d
from common.kernels.custom import without_native
from common.models.layers import NativeConv2d, conv2d
from common.runtime.context import execution_mode

# N, C, H, W, F, KH, KW, stride, padding, groups of layers of MobileNetV2 and of a ResNeXt, with fewer channels.
LAYERS = [
    (2, 32, 112, 112, 32, 3, 3, 1, 1, 32),
    (2, 24, 112, 112, 24, 3, 3, 2, 1, 24),
    (2, 20, 56, 56, 20, 3, 3, 1, 1, 20),
    (2, 40, 28, 28, 40, 3, 3, 2, 1, 40),
    (3, 70, 14, 14, 70, 3, 3, 1, 1, 70),
    (3, 96, 7, 7, 96, 3, 3, 1, 1, 96),
    (2, 32, 28, 28, 64, 3, 3, 1, 1, 8),
]


@pytest.mark.parametrize("size", oracle.GROUPED_SIZES, ids=str)
def test_sizes(size, mode):
    inputs = oracle.sample(*size)
    check(convolve(*inputs, *size[7:9], True, size[9]), oracle.grouped(*inputs, *size[7:]))


@pytest.mark.parametrize("size", LAYERS, ids=str)
def test_layers_of_real_networks_are_those_of_pytorch(size, mode):
    inputs = oracle.sample(*size)
    check(convolve(*inputs, *size[7:9], True, size[9]), torch_convolution(*inputs, *size[7:]))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    n=st.sampled_from([1, 2, 5, 17]),
    groups=st.sampled_from([2, 3, 5, 66]),
    channels=st.sampled_from([1, 1, 1, 2, 5]),
    multiplier=st.sampled_from([1, 1, 2, 3]),
    h=st.integers(1, 13),
    w=st.integers(1, 19) | st.sampled_from([31, 32, 33, 49]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.just((3, 3)),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_native_operators_at_any_size(n, groups, channels, multiplier, h, w, kernel, stride, padding):
    """The C++ functions themselves, on outputs of NaN, so that a value they leave out is found."""
    assume(h + 2 * padding >= kernel[0] and w + 2 * padding >= kernel[1])
    if not native_available():
        pytest.skip("needs a C++ compiler")
    size = (n, groups * channels, h, w, groups * multiplier, *kernel, stride, padding, groups)
    inputs = oracle.sample(*size)
    found = call_all(build.library()[0], "Grouped", *inputs, stride, padding)
    check(found, oracle.grouped(*inputs, *size[7:]))


@pytest.mark.parametrize("size", [oracle.GROUPED_SIZES[0], *LAYERS[-3:]], ids=str)
def test_graph_equals_pynative(size, library):
    inputs, results = oracle.sample(*size), []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            results.append(convolve(*inputs, *size[7:9], True, size[9]))
    assert all(np.array_equal(*pair) for pair in zip(*results, strict=True))


@pytest.mark.parametrize("size", [oracle.GROUPED_SIZES[0], (33, 3, 9, 17, 6, 3, 3, 1, 1, 3), *LAYERS[-3:]], ids=str)
def test_result_does_not_depend_on_threads(size, library, threads):
    inputs, results = oracle.sample(*size), []
    for count in (1, 2, 3):
        threads(count)
        results.append(convolve(*inputs, *size[7:9], True, size[9]))
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


@pytest.mark.parametrize("size", oracle.GROUPED_SIZES[:4], ids=str)
def test_mindspores_own_operator_gives_the_same(size, library):
    with execution_mode("pynative"):
        inputs = oracle.sample(*size)
        pairs = zip(*(convolve(*inputs, *size[7:9], native, size[9]) for native in (True, False)), strict=True)
        assert all(oracle.error(*pair) < TOLERANCE for pair in pairs)


def test_weights_of_other_groups_are_refused(library, mode):
    x, w, _ = oracle.sample(2, 6, 5, 5, 4, 3, 3, 1, 1, 2)
    with pytest.raises((ConfigError, RuntimeError), match="expected weights"):
        float_conv2d(1, 1, 3, native=True)(Tensor(x), Tensor(w)).asnumpy()


@pytest.mark.parametrize("has_bias", [False, True])
def test_factory_takes_the_kernel_for_groups(has_bias, library, mode):
    """The layer is that of MindSpore: the same parameters, the same outputs."""
    layer = conv2d(6, 12, 3, 2, 1, has_bias, groups=6)
    with without_native():
        plain = conv2d(6, 12, 3, 2, 1, has_bias, groups=6)
    assert type(layer) is NativeConv2d and not isinstance(plain, NativeConv2d) and layer.group == plain.group == 6
    assert [(p.name, p.shape) for p in layer.get_parameters()] == [(p.name, p.shape) for p in plain.get_parameters()]
    for ours, theirs in zip(layer.get_parameters(), plain.get_parameters(), strict=True):
        theirs.set_data(ours.value())
    x = Tensor(oracle.sample(2, 6, 9, 17, 12, 3, 3, 2, 1, 6)[0])
    assert oracle.error(layer(x).asnumpy(), plain(x).asnumpy()) < TOLERANCE
