"""The parameter-free shortcut: values and gradients in every step of a compiled program, not in its first alone."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

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


def images(seed, scale):
    return (scale * np.random.default_rng(seed).normal(0, 1, (5, 8, 6, 6))).astype(np.float32)


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
