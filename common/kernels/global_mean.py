"""Mean of each plane: our own kernel on CPU where it can be had, else MindSpore's operator."""

from mindspore import nn

from common.kernels.custom import operator, use_native


class GlobalMean(nn.Cell):
    """Mean of each plane, (N, C, H, W) float32 to (N, C), with its gradient.

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Raises:
        BuildError: the C++ kernel is forced and cannot be had.
    """

    def __init__(self, native: bool | None = None):
        super().__init__()
        self.kernel = _NativeGlobalMean() if use_native(native) else None

    def construct(self, x):
        return x.mean((2, 3)) if self.kernel is None else self.kernel(x)


class _NativeGlobalMean(nn.Cell):
    def __init__(self):
        super().__init__()
        self.forward_op = operator("GlobalMean", lambda x: x[:2], lambda x: x)
        self.grad_op = operator("GlobalMeanGrad", lambda x, *_: x, lambda x, *_: x)

    def construct(self, x):
        return self.forward_op(x)

    def bprop(self, x, out, dout):
        """Gradient for x."""
        return (self.grad_op(x, dout),)
