"""BatchNorm and the activation that follows it: in one pass over memory where our own kernels know the pair.

For ``construct`` in both modes; a norm or an activation of another kind is called as it is, one after the other.
"""

from mindspore import nn

from common.kernels.batch_norm import NativeBatchNorm2d


def norm_act(norm: nn.Cell, act: nn.Cell, x):
    """``act(norm(x))``, (N, C, H, W) to the same shape."""
    if isinstance(norm, NativeBatchNorm2d) and isinstance(act, nn.ReLU):
        return norm.relu(x)
    if isinstance(norm, NativeBatchNorm2d) and isinstance(act, nn.ReLU6):
        return norm.relu6(x)
    return act(norm(x))


def norm_add_act(norm: nn.Cell, act: nn.Cell, x, shortcut):
    """``act(norm(x) + shortcut)``, all (N, C, H, W), as residual blocks end."""
    if isinstance(norm, NativeBatchNorm2d) and isinstance(act, nn.ReLU):
        return norm.add_relu(x, shortcut)
    return act(norm(x) + shortcut)


class NormActSequential(nn.SequentialCell):
    """``nn.SequentialCell`` that takes each BatchNorm together with the activation after it."""

    def construct(self, x):
        cells, taken = self.cell_list, False
        for i in range(len(cells)):
            if taken:
                taken = False
            elif i + 1 < len(cells) and isinstance(cells[i], NativeBatchNorm2d):
                x = norm_act(cells[i], cells[i + 1], x)
                taken = True
            else:
                x = cells[i](x)
        return x
