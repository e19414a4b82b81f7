"""Convolution, BatchNorm and activation in as few passes over memory as our own kernels need for them.

In training BatchNorm takes along what follows it; in evaluation the convolution does that too. For ``construct`` in
both modes; layers of other kinds, and those that somebody watches through hooks, are called one after the other.
"""

import contextlib
from collections.abc import Iterator

from mindspore import nn

from common.kernels.batch_norm import NativeBatchNorm2d
from common.models.layers import NativeConv2d


def norm_act(norm: nn.Cell, act: nn.Cell, x):
    """``act(norm(x))``, (N, C, H, W) to the same shape."""
    if isinstance(norm, NativeBatchNorm2d) and norm.joins:
        if isinstance(act, nn.ReLU):
            return norm.relu(x)
        if isinstance(act, nn.ReLU6):
            return norm.relu6(x)
    return act(norm(x))


def norm_add_act(norm: nn.Cell, act: nn.Cell, x, shortcut):
    """``act(norm(x) + shortcut)``, all (N, C, H, W), as residual blocks end."""
    if isinstance(norm, NativeBatchNorm2d) and norm.joins and isinstance(act, nn.ReLU):
        return norm.add_relu(x, shortcut)
    return act(norm(x) + shortcut)


def conv_norm(conv: nn.Cell, norm: nn.Cell, x):
    """``norm(conv(x))``, (N, C, H, W) to (N, F, OH, OW)."""
    if joins(conv, norm):
        return conv.norm(norm, x)
    return norm(conv(x))


def conv_norm_act(conv: nn.Cell, norm: nn.Cell, act: nn.Cell, x):
    """``act(norm(conv(x)))``, (N, C, H, W) to (N, F, OH, OW)."""
    if joins(conv, norm) and isinstance(act, nn.ReLU):
        return conv.norm_relu(norm, x)
    if joins(conv, norm) and isinstance(act, nn.ReLU6):
        return conv.norm_relu6(norm, x)
    return norm_act(norm, act, conv(x))


def fork_conv_norm_act(conv: nn.Cell, norm: nn.Cell, act: nn.Cell, x):
    """:func:`conv_norm_act`, and x for what else reads it: in training the gradients of both meet in one pass."""
    if getattr(conv, "forks", False):
        y, x = conv.fork(x)
        return norm_act(norm, act, y), x
    return conv_norm_act(conv, norm, act, x), x


def conv_norm_add_act(conv: nn.Cell, norm: nn.Cell, act: nn.Cell, x, shortcut):
    """``act(norm(conv(x)) + shortcut)``, (N, C, H, W) and the shortcut (N, F, OH, OW) to the latter's shape."""
    if joins(conv, norm) and isinstance(act, nn.ReLU):
        return conv.norm_add_relu(norm, x, shortcut)
    return norm_add_act(norm, act, conv(x), shortcut)


def joins(conv: nn.Cell, norm: nn.Cell) -> bool:
    """Whether a convolution takes along the norm after it."""
    if isinstance(conv, NativeConv2d) and isinstance(norm, NativeBatchNorm2d):
        return conv.joins and norm.joins and not norm.training
    return False


def watched(cell: nn.Cell) -> bool:
    """Whether somebody wants to see a cell's inputs or outputs."""
    return bool(cell._forward_pre_hook or cell._forward_hook)


@contextlib.contextmanager
def apart(network: nn.Cell) -> Iterator[None]:
    """While the block runs, the layers of a network are called one after the other."""
    cells = [cell for _, cell in network.cells_and_names() if isinstance(cell, NativeConv2d | NativeBatchNorm2d)]
    before = [cell.together for cell in cells]
    for cell in cells:
        cell.together = False
    try:
        yield
    finally:
        for cell, together in zip(cells, before):
            cell.together = together


class ConvNormActSequential(nn.SequentialCell):
    """``nn.SequentialCell`` that takes convolutions, norms and activations that follow each other together."""

    def construct(self, x):
        cells, i = self.cell_list, 0
        while i < len(cells):
            norm_next = i + 1 < len(cells) and isinstance(cells[i + 1], NativeBatchNorm2d)
            if isinstance(cells[i], NativeConv2d) and norm_next:
                if i + 2 < len(cells) and isinstance(cells[i + 2], (nn.ReLU, nn.ReLU6)):
                    x, i = conv_norm_act(cells[i], cells[i + 1], cells[i + 2], x), i + 3
                else:
                    x, i = conv_norm(cells[i], cells[i + 1], x), i + 2
            elif isinstance(cells[i], NativeBatchNorm2d) and i + 1 < len(cells):
                x, i = norm_act(cells[i], cells[i + 1], x), i + 2
            else:
                x, i = cells[i](x), i + 1
        return x
