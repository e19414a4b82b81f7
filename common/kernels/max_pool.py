"""Max pooling on CPU, forward and backward in one operator each."""

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.kernels.custom import operator, use_native


class NativeMaxPool2d(nn.MaxPool2d):
    r"""``nn.MaxPool2d`` by our own kernels: (N, C, H, W) float32 to (N, C, OH, OW).

    .. math:: Y_{ij} = \max_{u, v < k} X_{i s + u - p,\ j s + v - p}

    What lies outside the image does not count; OH = floor((H + 2 p - k) / s) + 1. The gradient goes to the first of the
    largest values of a window.

    Args:
        kernel_size: k.
        stride: s, >= 1.
        padding: p, at most k / 2.

    Raises:
        ConfigError: a padding above half of the kernel.
    """

    def __init__(self, kernel_size: int, stride: int, padding: int = 0):
        if 2 * padding > kernel_size:
            raise ConfigError(f"max pooling: expected a padding of at most {kernel_size // 2}, found {padding}")
        super().__init__(kernel_size, stride, **_padded(padding))
        self.geometry = Tensor(np.array([kernel_size, stride, padding], np.int32))

        def shape(x, *_):
            return [*x[:2], *((side + 2 * padding - kernel_size) // stride + 1 for side in x[2:])]

        shape.rule = f"kernel {kernel_size}, stride {stride}, padding {padding}"
        self.forward_op = operator("MaxPool", shape, lambda x, *_: x)
        self.grad_op = operator("MaxPoolGrad", lambda x, *_: x, lambda x, *_: x)

    def construct(self, x):
        return self.forward_op(x, self.geometry)

    def bprop(self, x, out, dout):
        """Gradient for x."""
        return (self.grad_op(x, dout, self.geometry),)


def max_pool(kernel_size: int, stride: int, padding: int = 0) -> nn.MaxPool2d:
    """Max pooling of k x k windows: our own kernel on CPU where it can be had, else MindSpore's."""
    if use_native(None):
        return NativeMaxPool2d(kernel_size, stride, padding)
    return nn.MaxPool2d(kernel_size, stride, **_padded(padding))


def _padded(padding: int) -> dict:
    return {"pad_mode": "pad", "padding": padding} if padding else {}
