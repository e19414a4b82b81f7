"""BatchNorm with what follows it in one pass: against float64 NumPy and against one cell after the other."""

import batch_norm_oracle as oracle
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from test_batch_norm import check, made

from common.kernels import native_available
from common.kernels.batch_norm import NativeBatchNorm2d
from common.models.norm_act import ConvNormActSequential, norm_act, norm_add_act
from common.runtime.context import execution_mode

ACTS = {"relu": (nn.ReLU, np.inf), "relu6": (nn.ReLU6, 6), "add_relu": (nn.ReLU, np.inf)}
each_kind = pytest.mark.parametrize("kind", ACTS)


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


class Pair(nn.Cell):
    """A norm and its activation, with a shortcut where ``kind`` adds one."""

    def __init__(self, kind, norm, together):
        super().__init__()
        self.norm, self.act, self.adds, self.together = norm, ACTS[kind][0](), kind == "add_relu", together

    def construct(self, x, shortcut):
        if self.together:
            if self.adds:
                return norm_add_act(self.norm, self.act, x, shortcut)
            return norm_act(self.norm, self.act, x)
        return self.act(self.norm(x) + shortcut) if self.adds else self.act(self.norm(x))


class Weighted(nn.Cell):
    """A sum whose gradient for the cell's output is given."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, x, shortcut, gy):
        return (self.cell(x, shortcut) * gy).sum()


def sampled(shape):
    """A sample whose values reach 6, and its shortcut."""
    sample = oracle.sample(shape)
    sample.gamma *= 4
    return sample, np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def results(cell, norm, sample, shortcut, training):
    """Output, gradients for x, shortcut, gamma and beta, moving statistics after one pass."""
    cell.set_train(training)
    y = cell(Tensor(sample.x), Tensor(shortcut)).asnumpy()
    statistics = [norm.moving_mean.asnumpy().copy(), norm.moving_variance.asnumpy().copy()]
    weighted = Weighted(cell).set_train(training)
    gradient = ops.GradOperation(get_all=True, get_by_list=True)(weighted, [norm.gamma, norm.beta])
    inputs, parameters = gradient(Tensor(sample.x), Tensor(shortcut), Tensor(sample.gy))
    return [y, *(g.asnumpy() for g in (*inputs[:2], *parameters)), *statistics]


@each_kind
@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_training_is_that_of_float64(kind, shape, mode):
    sample, shortcut = sampled(shape)
    z, limit = oracle.training(sample)[0] + (shortcut if kind == "add_relu" else 0), ACTS[kind][1]
    sample.gy[np.minimum(np.abs(z), np.abs(z - limit)) < 1e-5] = 0  # a rounding decides there
    norm = made(NativeBatchNorm2d, sample)
    found = results(Pair(kind, norm, True), norm, sample, shortcut, True)
    sample.gy = np.where((z > 0) & (z <= limit), sample.gy, 0)
    _, *gradients, mean, variance = oracle.training(sample)
    gradients.insert(1, sample.gy * (kind == "add_relu"))
    check(found, [np.clip(z, 0, limit), *gradients, mean, variance], 5e-6)


@each_kind
@pytest.mark.parametrize("training", [False, True])
def test_together_and_apart_are_the_same(kind, training, mode):
    sample, shortcut = sampled((17, 6, 8, 33))
    found = []
    for together in (True, False):
        norm = made(NativeBatchNorm2d, sample)
        found.append(results(Pair(kind, norm, together), norm, sample, shortcut, training))
    assert training or np.array_equal(found[0][0], found[1][0])
    check(*found, 5e-6)


@each_kind
@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_evaluation_has_the_bits_of_mindspore(kind, shape, mode):
    sample, shortcut = sampled(shape)
    outputs = [
        Pair(kind, made(norm, sample), True).set_train(False)(Tensor(sample.x), Tensor(shortcut)).asnumpy()
        for norm in (NativeBatchNorm2d, nn.BatchNorm2d)
    ]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize(("kind", "training"), [("add_relu", True), ("relu6", False)])
def test_bits_do_not_depend_on_threads(kind, training, threads, mode):
    sample, shortcut = sampled((17, 7, 9, 13))
    found = []
    for count in (1, 2, 3):
        threads(count)
        norm = made(NativeBatchNorm2d, sample)
        found.append(results(Pair(kind, norm, True), norm, sample, shortcut, training))
    assert all(np.array_equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("last", [nn.ReLU, nn.ReLU6, nn.Sigmoid])
def test_a_sequence_is_its_cells_one_after_the_other(last, mode):
    sample, _ = sampled((3, 4, 5, 6))
    ends = made(NativeBatchNorm2d, sample), made(NativeBatchNorm2d, sample)
    cells = [ends[0], last(), nn.ReLU(), nn.BatchNorm2d(4), last(), ends[1]]
    x = Tensor(sample.x)
    found = ConvNormActSequential(*cells).set_train(False)(x).asnumpy()
    assert np.array_equal(found, nn.SequentialCell(*cells).set_train(False)(x).asnumpy())


@each_kind
def test_hooks_of_a_norm_see_it(kind):
    sample, shortcut = sampled((2, 3, 4, 4))
    norm, seen = made(NativeBatchNorm2d, sample), []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].asnumpy()))
    with execution_mode("pynative"):
        Pair(kind, norm, True).set_train(False)(Tensor(sample.x), Tensor(shortcut))
    handle.remove()
    assert len(seen) == 1 and np.array_equal(seen[0], sample.x)
