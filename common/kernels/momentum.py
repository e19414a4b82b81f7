"""SGD with momentum and weight decay on all parameters in one operator."""

import numpy as np
from mindspore import Parameter, Tensor, jit, nn

from common.kernels.custom import in_place_operator


class NativeMomentum(nn.Momentum):
    r"""``nn.Momentum`` in one operator in place of three for each parameter; the same state, names and bits.

    .. math:: v \leftarrow m\,v + (d\,w + g), \qquad w \leftarrow w - r\,v

    ``construct(gradients)``: g of each parameter, in the order of ``parameters``. As in PyTorch, weight decay d is
    part of the gradient.

    Args:
        parameters: w, float32, changed in place.
        rates: r of each step, in order.
        momentum: m, at least 0.
        weight_decay: d of all parameters, at least 0.
    """

    def __init__(self, parameters: list[Parameter], rates: list[float], momentum: float, weight_decay: float):
        super().__init__([{"params": parameters, "weight_decay": weight_decay}], rates, momentum)
        self.constants = Tensor(np.array([momentum, weight_decay], np.float32))
        self.step_op = in_place_operator("MomentumStep", 2, 2 * len(parameters), len(parameters))

    @jit(backend="ms_backend")
    def construct(self, gradients):
        rate = self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        return self.step_op(rate, self.constants, *self.params, *self.moments, *gradients)
