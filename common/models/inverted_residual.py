"""A convolution, a depthwise one and a projection, each with its norm, in one operator where nobody looks in between.

``first`` and ``depthwise`` are sequences of a convolution, its norm and a ReLU or ReLU6; ``project`` and ``norm`` a
convolution of 1 x 1 and its norm. For ``construct`` in both modes.
"""

from mindspore import nn

from common.kernels.inverted_residual import ConvDepthwiseProject
from common.models.layers import NativeConv2d
from common.models.norm_act import joins, watched


def block_kernel(first: nn.Cell, depthwise: nn.Cell, adds: bool = False) -> ConvDepthwiseProject | None:
    """The operator of the layers that a network is made of, or None; ``adds``: plus their input."""
    convs = [sequence.cell_list[0] for sequence in (first, depthwise)]
    if all(isinstance(conv, NativeConv2d) and conv.together for conv in convs):
        return ConvDepthwiseProject(*[conv.kernel_conv for conv in convs], adds)
    return None


def block_joins(kernel, first, depthwise, project, norm) -> bool:
    """Whether these layers, which may have been exchanged, are what the kernel was made for, and none is watched."""
    if kernel is None or not (_activated(first) and _activated(depthwise) and joins(project, norm)):
        return False
    one, two = first.cell_list[0], depthwise.cell_list[0]
    sizes = (one.kernel_conv.stride, one.kernel_conv.padding, two.kernel_conv.stride, two.kernel_conv.padding)
    if sizes != kernel.sizes or one.group != 1 or project.group != 1 or two.group != two.in_channels:
        return False
    if not two.in_channels == two.out_channels == one.out_channels == project.in_channels:
        return False
    return project.kernel_size == (1, 1) and project.kernel_conv.stride == 1 and project.kernel_conv.padding == 0


def joined_block(kernel, x, first, depthwise, project, norm):
    """The projection of the depthwise convolution of the first, (N, C, H, W) to (N, F, OH, OW)."""
    return kernel(x, *_activated_inputs(first), *_activated_inputs(depthwise), *_inputs(project, norm, False))


def _activated(sequence) -> bool:
    """Whether a sequence is a convolution, a norm and a ReLU or ReLU6 that join."""
    cells = sequence.cell_list
    if len(cells) != 3 or watched(sequence) or watched(cells[2]):
        return False
    return joins(cells[0], cells[1]) and isinstance(cells[2], (nn.ReLU, nn.ReLU6))


def _inputs(conv, norm, limited):
    return (conv.weight, *norm.statistics(), norm.constants6 if limited else norm.constants)


def _activated_inputs(sequence):
    cells = sequence.cell_list
    return _inputs(cells[0], cells[1], isinstance(cells[2], nn.ReLU6))
