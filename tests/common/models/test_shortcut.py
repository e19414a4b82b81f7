"""The parameter-free shortcut: values and gradients in every step of a compiled program, not in its first alone."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.kernels import native_available
from common.kernels.custom import without_native
from common.models.resnet_cifar import PadShortcut
from common.runtime.context import execution_mode

WEIGHTS = np.random.default_rng(0).normal(0, 1, (8, 8, 3, 3)).astype(np.float32)


class Between(nn.Cell):
    """The shortcut between other operators, whose memory its gradient must not show: (N, 8, H, W) to a number."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, pad_mode="pad", padding=1, weight_init=Tensor(WEIGHTS))
        self.shortcut = PadShortcut(9, 2)

    def construct(self, x):
        x = self.conv(ops.relu(1.5 * x))
        return (self.conv(x) * 0.1).sum() + (self.shortcut(x) ** 2).sum()


class Gradient(nn.Cell):
    def __init__(self):
        super().__init__()
        self.gradient = ops.grad(Between())

    def construct(self, x):
        return self.gradient(x)


class SumOfSquares(nn.Cell):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, x):
        return (self.cell(x) ** 2).sum()


def images(seed, scale):
    return (scale * np.random.default_rng(seed).normal(0, 1, (5, 8, 6, 6))).astype(np.float32)


@pytest.fixture(params=["native", "mindspore"], autouse=True)
def kernels(request):
    """Our own kernel, then MindSpore's operators."""
    if request.param == "native":
        if not native_available():
            pytest.skip("needs a C++ compiler")
        yield
    else:
        with without_native():
            yield


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_the_gradient_is_the_same_in_every_step(mode):
    torch = pytest.importorskip("torch")
    conv = torch.nn.functional.conv2d
    with execution_mode(mode):
        gradient = Gradient()
        for step in range(5):
            values = images(step % 2, (1, 100)[step % 2])
            x = torch.from_numpy(values).double().requires_grad_()
            y = conv(torch.relu(1.5 * x), torch.from_numpy(WEIGHTS).double(), padding=1)
            loss = (conv(y, torch.from_numpy(WEIGHTS).double(), padding=1) * 0.1).sum() + (y[:, :, ::2, ::2] ** 2).sum()
            loss.backward()
            step_gradient = gradient(Tensor(values)).asnumpy()
            np.testing.assert_allclose(step_gradient, x.grad.numpy(), rtol=1e-4, atol=1e-4 * abs(x.grad.numpy()).max())


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_new_channels_are_zero_and_half_of_them_come_first(mode):
    x = images(3, 1)
    with execution_mode(mode):
        y = PadShortcut(9, 2)(Tensor(x)).asnumpy()
    expected = np.zeros((5, 17, 3, 3), np.float32)
    expected[:, 4:12] = x[:, :, ::2, ::2]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize(("side", "stride"), [(7, 2), (8, 3), (1, 2), (5, 1)])
def test_any_size_and_stride(side, stride, mode):
    x = np.random.default_rng(0).normal(0, 1, (3, 2, side, side + 1)).astype(np.float32)
    with execution_mode(mode):
        shortcut = PadShortcut(3, stride)
        y, gradient = shortcut(Tensor(x)).asnumpy(), ops.grad(SumOfSquares(shortcut))(Tensor(x))
    expected = np.zeros_like(x)
    expected[:, :, ::stride, ::stride] = 2 * x[:, :, ::stride, ::stride]
    assert np.array_equal(y[:, 1:3], x[:, :, ::stride, ::stride]) and not y[:, [0, 3, 4]].any()
    np.testing.assert_allclose(gradient.asnumpy(), expected, rtol=1e-6)
