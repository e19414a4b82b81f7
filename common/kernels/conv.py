"""Float convolution on CPU, several times faster than MindSpore 2.10's own; elsewhere MindSpore's."""

import numpy as np
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.kernels.custom import conv_shape, operator, use_native


class _NativeConv2d(nn.Cell):
    """The C++ kernels, forward and backward; sums do not depend on the number of threads."""

    def __init__(self, stride: int, padding: int):
        super().__init__()
        self.geometry = Tensor(np.array([stride, padding], np.int32))
        self.forward_op = operator("ConvForward", conv_shape(stride, padding), lambda x, *_: x)
        self.input_grad_op = operator("ConvGradInput", lambda x, *_: x, lambda x, *_: x)
        self.weight_grad_op = operator("ConvGradWeight", lambda x, w, *_: w, lambda x, w, *_: w)

    def construct(self, x, w):
        return self.forward_op(x, w, self.geometry)

    def bprop(self, x, w, out, dout):
        """Gradients for x and w."""
        return self.input_grad_op(x, w, dout, self.geometry), self.weight_grad_op(x, w, dout, self.geometry)


class PlainConv2d(nn.Cell):
    """MindSpore's own operator: any device, any groups; ``construct(x, w)`` as :func:`float_conv2d` says."""

    def __init__(self, stride: int, padding: int, groups: int):
        super().__init__()
        self.stride, self.padding, self.groups = stride, padding, groups

    def construct(self, x, w):
        return ops.conv2d(x, w, None, self.stride, "pad", self.padding, 1, self.groups)


def float_conv2d(stride: int = 1, padding: int = 0, groups: int = 1, native: bool | None = None) -> nn.Cell:
    """A convolution without parameters: ``construct(x, w)`` takes (N, C, H, W) and (F, C / groups, KH, KW), float32.

    Args:
        stride: in both directions, >= 1.
        padding: zeros on each side, >= 0.
        groups: of channels; more than one needs MindSpore's own operator.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Returns:
        A cell that gives (N, F, OH, OW), in GRAPH and PYNATIVE mode, with gradients for x and w.

    Raises:
        ConfigError: the C++ kernel is forced for more than one group.
    """
    if groups > 1 and native:
        raise ConfigError(f"native convolution: expected groups 1, found {groups}; take MindSpore's operator")
    if groups == 1 and use_native(native):
        return _NativeConv2d(stride, padding)
    return PlainConv2d(stride, padding, groups)
