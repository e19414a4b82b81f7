"""The float convolution and its gradients against float64 NumPy and PyTorch, and the layers made of it."""

import conv_oracle as oracle
import numpy as np
import pytest
from conv_calls import TOLERANCE, call_all, check, convolve, torch_convolution
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mindspore import Parameter, Tensor, nn, ops

from common.kernels import build, native_available
from common.kernels.conv import float_conv2d
from common.models.layers import NativeConv2d, conv2d
from common.runtime.context import execution_mode

KINDS = [pytest.param(True, id="native"), pytest.param(False, id="fallback")]

# N, C, H, W, F, KH, KW, stride, padding of layers of ResNets and VGG-small.
LAYERS = [
    (4, 16, 32, 32, 16, 3, 3, 1, 1),
    (4, 64, 8, 8, 64, 3, 3, 1, 1),
    (4, 16, 32, 32, 32, 3, 3, 2, 1),
    (4, 32, 16, 16, 64, 1, 1, 2, 0),
    (2, 3, 64, 64, 64, 7, 7, 2, 3),
    (2, 128, 16, 16, 128, 3, 3, 1, 1),
]


@pytest.mark.parametrize("size", oracle.CONV_SIZES, ids=str)
def test_native_sizes(size, mode):
    inputs = oracle.sample(*size)
    check(convolve(*inputs, *size[7:], native=True), oracle.everything(*inputs, *size[7:]))


@pytest.mark.parametrize("size", oracle.CONV_SIZES, ids=str)
def test_fallback_sizes(size):
    inputs = oracle.sample(*size)
    with execution_mode("pynative"):
        check(convolve(*inputs, *size[7:], native=False), oracle.everything(*inputs, *size[7:]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    n=st.sampled_from([1, 2, 3, 17, 33]),
    c=st.sampled_from([1, 3, 4, 5, 17]),
    f=st.sampled_from([1, 3, 5, 8, 9, 17]),
    h=st.integers(1, 11),
    w=st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.integers(1, 5).map(lambda side: (side, side)),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_native_operators_at_any_size(n, c, f, h, w, kernel, stride, padding):
    """The C++ functions themselves, on outputs of NaN, so that a value they leave out is found."""
    assume(h + 2 * padding >= kernel[0] and w + 2 * padding >= kernel[1])
    if not native_available():
        pytest.skip("needs a C++ compiler")
    x, weight, gy = oracle.sample(n, c, h, w, f, *kernel, stride, padding)
    found = call_all(build.library()[0], "Conv", x, weight, gy, stride, padding)
    check(found, oracle.everything(x, weight, gy, stride, padding))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("size", LAYERS, ids=str)
def test_layers_of_real_networks_are_those_of_pytorch(size, native, mode):
    inputs = oracle.sample(*size)
    check(convolve(*inputs, *size[7:], native), torch_convolution(*inputs, *size[7:]))


@pytest.mark.parametrize("native", KINDS)
def test_graph_equals_pynative(native):
    inputs, results = oracle.sample(3, 5, 9, 17, 9, 3, 3, 2, 1), []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            results.append(convolve(*inputs, 2, 1, native))
    assert all(oracle.error(*pair) <= (0 if native else 1e-6) for pair in zip(*results, strict=True))


@pytest.mark.parametrize("size", [(33, 5, 9, 9, 5, 3, 3, 1, 1), (17, 3, 8, 33, 17, 3, 2, 2, 1)], ids=str)
def test_result_does_not_depend_on_threads(size, library, threads, mode):
    inputs, results = oracle.sample(*size), []
    for count in (1, 2, 3):
        threads(count)
        results.append(convolve(*inputs, *size[7:], native=True))
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


def test_views_are_read_in_their_own_order(library):
    """PyNative transposes are views; the operators must not see the memory behind them."""
    x, w, gy = oracle.sample(2, 6, 5, 9, 4, 3, 3, 1, 1)
    conv = float_conv2d(1, 1, native=True)

    def turned(a):
        return a.transpose(0, 1, 3, 2)

    def loss(x, w):
        return (turned(conv(turned(x), turned(w))) * Tensor(gy)).sum()

    with execution_mode("pynative"):
        value, (gx, gw) = ops.value_and_grad(loss, (0, 1))(Tensor(x), Tensor(w))
    y, *expected = oracle.everything(turned(x), turned(w), turned(gy), 1, 1)
    assert value.asnumpy() == pytest.approx((y * turned(gy)).sum(), rel=1e-5)
    for found, wanted in zip((gx, gw), expected, strict=True):
        assert oracle.error(found.asnumpy(), turned(wanted)) < TOLERANCE


@pytest.fixture
def switched_off(monkeypatch):
    """The process as it is with LOWBITZOO_KERNELS=off."""
    monkeypatch.setenv("LOWBITZOO_KERNELS", "off")
    monkeypatch.setattr(build, "library", build.library.__wrapped__)  # without what it remembers


def test_choice_of_the_implementation(library):
    native, fallback = type(float_conv2d(native=True)), type(float_conv2d(native=False))
    assert native is not fallback
    assert type(float_conv2d()) is type(float_conv2d(groups=2)) is native


def test_choice_without_the_kernels(switched_off):
    assert type(float_conv2d()) is type(float_conv2d(native=False))
    with pytest.raises(build.BuildError, match="demanded"):
        float_conv2d(native=True)


def gradients_of(layer, x, gy):
    """Output, and gradients for the input and the parameters of a layer."""

    def forward(x):
        return (layer(x) * Tensor(gy)).sum()

    y, weights = layer(Tensor(x)), layer.trainable_params()
    gx, gw = ops.grad(forward, 0, weights)(Tensor(x))
    return [t.asnumpy() for t in (y, gx, *gw)]


@pytest.mark.parametrize("has_bias", [False, True])
def test_native_layer_is_the_layer_of_mindspore(has_bias, library, mode):
    x, w, gy = oracle.sample(2, 5, 9, 17, 7, 3, 3, 2, 1)
    layers = [
        NativeConv2d(5, 7, 3, 2, 1, has_bias=has_bias),
        nn.Conv2d(5, 7, 3, 2, pad_mode="pad", padding=1, has_bias=has_bias),
    ]
    assert [p.name for p in layers[0].get_parameters()] == [p.name for p in layers[1].get_parameters()]
    for layer in layers:
        layer.weight.set_data(Tensor(w))
        if has_bias:
            layer.bias.set_data(Tensor(np.linspace(-2, 3, 7, dtype=np.float32)))
    ours, theirs = (gradients_of(layer, x, gy) for layer in layers)
    assert len(ours) == 3 + has_bias
    assert all(oracle.error(*pair) < TOLERANCE for pair in zip(ours, theirs, strict=True))


def check_initial(layer, has_bias):
    """Shapes, and weights with the deviation of He's rule by fan-out, sqrt(2 / (F K K))."""
    assert layer.weight.shape == (64, 32, 3, 3) and isinstance(layer.weight, Parameter)
    assert layer.weight.asnumpy().std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert layer.has_bias == has_bias and len(list(layer.get_parameters())) == 1 + has_bias
    assert layer(Tensor(np.zeros((1, 32, 6, 6), np.float32))).shape == (1, 64, 3, 3)


@pytest.mark.parametrize("has_bias", [False, True])
def test_factory_takes_the_kernel(has_bias, library):
    layer = conv2d(32, 64, 3, 2, 1, has_bias)
    assert type(layer) is NativeConv2d
    check_initial(layer, has_bias)


@pytest.mark.parametrize("has_bias", [False, True])
def test_factory_without_the_kernels_takes_mindspore(has_bias, switched_off):
    layer = conv2d(32, 64, 3, 2, 1, has_bias)
    assert type(layer) is nn.Conv2d
    check_initial(layer, has_bias)
