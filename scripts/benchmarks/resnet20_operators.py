"""The operators of a training step of ResNet-20, each on tensors of its shape, ready to be called alone.

Convolutions, BatchNorm with what it takes along, and sums are called as operators in PYNATIVE mode, forward and
gradients apart. Shortcuts, head, loss and optimizer are small: forward and backward together, compiled in GRAPH mode as
they are in the step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

from common.kernels.batch_norm import NativeBatchNorm2d
from common.kernels.conv import float_conv2d
from common.models.resnet_cifar import DenseHead, PadShortcut, ResNetCifar
from common.training import TrainConfig
from common.training.schedules import Schedule
from common.training.step import make_optimizer

# Channels, filters, side of the input, stride, calls in a step.
CONVOLUTIONS = (
    (3, 16, 32, 1, 1),
    (16, 16, 32, 1, 6),
    (16, 32, 32, 2, 1),
    (32, 32, 16, 1, 5),
    (32, 64, 16, 2, 1),
    (64, 64, 8, 1, 5),
)
# Channels, side, BatchNorms with a ReLU, those with a shortcut too, sums of gradients in a step.
MAPS = ((16, 32, 4, 3, 4), (32, 16, 3, 3, 3), (64, 8, 3, 3, 2))
SHORTCUTS = ((16, 32), (32, 16))  # channels and side of the input; the output has twice and half as many


@dataclass(frozen=True)
class Operator:
    """An operator of the step.

    Attributes:
        name: what it computes, and the shape of its input per image.
        run: function that calls it once.
        calls: calls in a step.
        macs: multiply-adds of a call; 0 where it is not made of them.
        graph: whether it is compiled, in GRAPH mode.
    """

    name: str
    run: Callable[[], object]
    calls: int
    macs: int = 0
    graph: bool = False


def operators(batch_size: int) -> Iterator[Operator]:
    """All operators of a step, made one after another."""
    for shape in CONVOLUTIONS:
        yield from _convolution(batch_size, *shape)
    for shape in MAPS:
        yield from _on_map(batch_size, *shape)
    yield from (_shortcut(batch_size, *shape) for shape in SHORTCUTS)
    yield _head(batch_size)
    yield _loss(batch_size)
    yield _optimizer()


def _random(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def _convolution(count: int, channels: int, filters: int, side: int, stride: int, calls: int) -> Iterator[Operator]:
    cell = float_conv2d(stride, 1, native=True)
    x, w = _random(count, channels, side, side), _random(filters, channels, 3, 3)
    dy = _random(count, filters, side // stride, side // stride)
    macs = count * filters * channels * 9 * (side // stride) ** 2
    title = f"convolution {channels} to {filters}, {side} x {side}, stride {stride}"
    yield Operator(f"{title}: forward", lambda: cell.train_op(x, w, cell.geometry), calls, macs)
    if channels > 3:  # images need no gradient
        yield Operator(f"{title}: input grad", lambda: cell.input_grad_op(x, w, dy, cell.geometry), calls, macs)
    yield Operator(f"{title}: weight grad", lambda: cell.weight_grad_op(x, w, dy, cell.geometry), calls, macs)


def _on_map(count: int, channels: int, side: int, plain: int, joins: int, sums: int) -> Iterator[Operator]:
    x, dy, title = *(_random(count, channels, side, side) for _ in range(2)), f"{channels} x {side} x {side}"
    norm, add = NativeBatchNorm2d(channels), ops.Add()
    gamma, beta = Tensor(np.ones(channels, np.float32)), Tensor(np.zeros(channels, np.float32))
    relu, both = norm.relu_train_kernel, norm.add_relu_train_kernel
    _, mean, variance = relu(x, gamma, beta)
    y, name, joined = both(x, dy, gamma, beta)[0], f"BatchNorm, ReLU {title}", f"BatchNorm, shortcut, ReLU {title}"
    yield Operator(f"{name}: forward", lambda: relu.forward_op(x, gamma, beta, relu.constants), plain)
    yield Operator(
        f"{name}: gradients", lambda: relu.grad_op(x, dy, gamma, beta, mean, variance, relu.constants), plain
    )
    yield Operator(f"{joined}: forward", lambda: both.forward_op(x, dy, gamma, beta, both.eps), joins)
    yield Operator(f"{joined}: gradients", lambda: both.grad_op(x, y, dy, gamma, mean, variance, both.eps), joins)
    yield Operator(f"sum of gradients {title}", lambda: add(x, dy), sums)


class _Both(nn.Cell):
    """Forward and backward of a cell: its gradients for its first input and its parameters."""

    def __init__(self, cell: nn.Cell):
        super().__init__()
        self.cell = cell.set_train()
        self.gradients = ops.GradOperation(get_all=True, get_by_list=bool(cell.trainable_params()), sens_param=True)
        self.weights = ParameterTuple(cell.trainable_params()) if cell.trainable_params() else None

    def construct(self, dy, *inputs):
        if self.weights is None:
            return self.gradients(self.cell)(*inputs, dy)
        return self.gradients(self.cell, self.weights)(*inputs, dy)


def _shortcut(count: int, channels: int, side: int) -> Operator:
    both, x = _Both(PadShortcut(channels, 2)), _random(count, channels, side, side)
    dy = _random(count, 2 * channels, side // 2, side // 2)
    return Operator(f"shortcut {channels} x {side} x {side}: both ways", lambda: both(dy, x), 1, graph=True)


def _head(count: int) -> Operator:
    both, x, dy = _Both(DenseHead(64, 10)), _random(count, 64, 8, 8), _random(count, 10)
    return Operator("pooling and linear layer: both ways", lambda: both(dy, x), 1, graph=True)


def _loss(count: int) -> Operator:
    both, logits = _Both(nn.CrossEntropyLoss()), _random(count, 10)
    labels, dy = Tensor(np.arange(count, dtype=np.int32) % 10), Tensor(np.float32(1))
    return Operator("cross-entropy: both ways", lambda: both(dy, logits, labels), 1, graph=True)


def _optimizer() -> Operator:
    parameters = ResNetCifar(20).trainable_params()
    optimizer = make_optimizer(parameters, TrainConfig(1, 128, Schedule("constant", 0.01), weight_decay=1e-4), 1000)
    steps = tuple(_random(*parameter.shape) for parameter in parameters)
    return Operator("optimizer, all parameters", lambda: optimizer(steps), 1, graph=True)
