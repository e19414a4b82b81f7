"""Float convolution on CPU, several times faster than MindSpore 2.10's own; elsewhere MindSpore's."""

from collections.abc import Callable

import numpy as np
from mindspore import Tensor, nn, ops

from common.errors import ConfigError
from common.kernels.custom import conv_shape, operator, use_native


def _grouped_shape(stride: int, padding: int, groups: int) -> Callable[..., list[int]]:
    """Shape inference of a convolution with groups: (N, C, H, W) and (F, C / groups, KH, KW) to (N, F, OH, OW)."""
    plain = conv_shape(stride, padding)

    def infer(x, w, *_):
        if x[1] != w[1] * groups or w[0] % groups:
            raise ConfigError(
                f"convolution: expected weights (F, C / {groups}, ...), F a multiple of {groups}, for inputs (N, C, "
                f"...), found {list(w)} for {list(x)}"
            )
        return plain(x, w)

    infer.rule = f"{plain.rule}, groups {groups}"
    return infer


class NativeFloatConv(nn.Cell):
    """What :func:`float_conv2d` says by the C++ kernels; sums do not depend on the number of threads."""

    def __init__(self, stride: int, padding: int, groups: int):
        super().__init__()
        self.stride, self.padding, self.groups = stride, padding, groups
        self.geometry = Tensor(np.array([stride, padding], np.int32))
        kind, shape = "Conv", conv_shape(stride, padding)
        if groups > 1:
            kind, shape = "Grouped", _grouped_shape(stride, padding, groups)
        self.forward_op = operator(f"{kind}Forward", shape, lambda x, *_: x)
        self.train_op = operator("ConvForwardTrain", shape, lambda x, *_: x) if groups == 1 else self.forward_op
        self.input_grad_op = operator(f"{kind}GradInput", lambda x, *_: x, lambda x, *_: x)
        self.weight_grad_op = operator(f"{kind}GradWeight", lambda x, w, *_: w, lambda x, w, *_: w)

    def construct(self, x, w):
        if self.training:
            return self.train_op(x, w, self.geometry)
        return self.forward_op(x, w, self.geometry)

    def bprop(self, x, w, out, dout):
        """Gradients for x and w."""
        return self.input_grad_op(x, w, dout, self.geometry), self.weight_grad_op(x, w, dout, self.geometry)


class NativeForkedConv(nn.Cell):
    """A convolution in training and its input, for what else reads that: gradients of both are added as one is written.

    ``construct(x, w)`` gives y as :class:`NativeFloatConv` does, and x.

    Args:
        conv: the convolution, of one group.
    """

    def __init__(self, conv: NativeFloatConv):
        super().__init__()
        self.conv = conv
        self.input_grad_op = operator("ConvGradInputAdd", lambda x, *_: x, lambda x, *_: x)

    def construct(self, x, w):
        return self.conv.train_op(x, w, self.conv.geometry), x

    def bprop(self, x, w, out, dout):
        """Gradients for x and w."""
        of_x = self.input_grad_op(x, w, dout[0], dout[1], self.conv.geometry)
        return of_x, self.conv.weight_grad_op(x, w, dout[0], self.conv.geometry)


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
        groups: of channels, each seen by its own F / groups filters; as many groups as channels are fast.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Returns:
        A cell that gives (N, F, OH, OW), in GRAPH and PYNATIVE mode, with gradients for x and w.

    Raises:
        BuildError: the C++ kernel is forced and cannot be had.
    """
    if use_native(native):
        return NativeFloatConv(stride, padding, groups)
    return PlainConv2d(stride, padding, groups)
