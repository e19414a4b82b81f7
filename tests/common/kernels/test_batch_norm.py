"""BatchNorm's kernels against float64 NumPy, PyTorch and MindSpore's own cell."""

import adder_oracle
import batch_norm_oracle as oracle
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common.kernels import build, native_available
from common.kernels.batch_norm import NativeBatchNorm2d
from common.models.layers import Layers
from common.runtime.context import execution_mode

STATE = ("gamma", "beta", "moving_mean", "moving_variance")
TOLERANCE = 2e-6  # of the largest value


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


class Probe(nn.Cell):
    """A sum whose gradient for the cell's output is given."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def construct(self, x, gy):
        return (self.cell(x) * gy).sum()


def made(kind, sample):
    norm = kind(len(sample.gamma))
    for name in STATE:
        getattr(norm, name).set_data(Tensor(getattr(sample, name)))
    return norm


def trained(kind, sample):
    """Output, gradients for x, gamma and beta, moving statistics."""
    norm = made(kind, sample).set_train(True)
    y = norm(Tensor(sample.x)).asnumpy()
    statistics = [norm.moving_mean.asnumpy().copy(), norm.moving_variance.asnumpy().copy()]
    probe = Probe(norm).set_train(True)
    gradient = ops.GradOperation(get_all=True, get_by_list=True)(probe, [norm.gamma, norm.beta])
    (gx, _), (ggamma, gbeta) = gradient(Tensor(sample.x), Tensor(sample.gy))
    return [y, gx.asnumpy(), ggamma.asnumpy(), gbeta.asnumpy(), *statistics]


def check(found, expected, tolerance=TOLERANCE):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() <= tolerance * max(1, np.abs(other).max())


@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_training_is_that_of_float64(shape, mode):
    sample = oracle.sample(shape)
    check(trained(NativeBatchNorm2d, sample), oracle.training(sample))


@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_training_is_that_of_mindspore(shape, mode):
    sample = oracle.sample(shape)
    check(trained(NativeBatchNorm2d, sample), trained(nn.BatchNorm2d, sample), 1e-5)


def test_training_is_that_of_pytorch(mode):
    torch = pytest.importorskip("torch")
    sample = oracle.sample((17, 5, 9, 7))
    x = torch.tensor(sample.x, dtype=torch.float64, requires_grad=True)
    norm = torch.nn.BatchNorm2d(5).double()
    with torch.no_grad():
        for name, ours in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", STATE[2]),
            ("running_var", STATE[3]),
        ):
            getattr(norm, name).copy_(torch.tensor(getattr(sample, ours)))
    y = norm(x)
    y.backward(torch.tensor(sample.gy, dtype=torch.float64))
    tensors = y, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var
    check(trained(NativeBatchNorm2d, sample), [tensor.detach().numpy() for tensor in tensors])


@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_evaluation_has_the_bits_of_mindspore(shape, mode):
    sample = oracle.sample(shape)
    outputs = [
        made(kind, sample).set_train(False)(Tensor(sample.x)).asnumpy() for kind in (NativeBatchNorm2d, nn.BatchNorm2d)
    ]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize("shape", oracle.SHAPES, ids=str)
def test_gradients_in_evaluation_are_those_of_float64(shape, mode):
    sample = oracle.sample(shape)
    norm = made(NativeBatchNorm2d, sample).set_train(False)
    probe = Probe(norm).set_train(False)
    gradient = ops.GradOperation(get_all=True, get_by_list=True)(probe, [norm.gamma, norm.beta])
    (gx, _), (ggamma, gbeta) = gradient(Tensor(sample.x), Tensor(sample.gy))
    check([value.asnumpy() for value in (gx, ggamma, gbeta)], oracle.evaluation_gradients(sample), 1e-5)


def test_graph_equals_pynative():
    results = []
    for name in ("graph", "pynative"):
        with execution_mode(name):
            results.append(trained(NativeBatchNorm2d, oracle.sample((9, 5, 7, 11))))
    assert all(np.array_equal(*pair) for pair in zip(*results, strict=True))


def test_bits_do_not_depend_on_threads(threads, mode):
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(trained(NativeBatchNorm2d, oracle.sample((17, 7, 9, 13))))
    assert all(np.array_equal(*pair) for other in results[1:] for pair in zip(results[0], other, strict=True))


@pytest.mark.parametrize("offset", [1e3, -1e4])
def test_a_mean_far_from_zero_costs_no_variance(offset):
    x = (np.random.default_rng(0).normal(0, 1, (64, 3, 8, 8)) + offset).astype(np.float32)
    outputs = [np.full(shape, np.nan, np.float32) for shape in (x.shape, 3, 3)]
    ones, eps = np.ones(3, np.float32), np.full(1, 1e-5, np.float32)
    adder_oracle.call(build.library()[0], "BatchNormTrain", [x, ones, 0 * ones, eps, *outputs[:2]], outputs[2])
    np.testing.assert_allclose(outputs[2], x.astype(np.float64).var((0, 2, 3)), rtol=1e-5)


def test_a_first_image_unlike_the_others_costs_no_variance():
    x = np.random.default_rng(0).normal(1000, 1, (64, 3, 8, 8)).astype(np.float32)
    x[0], x[:, 2] = 0, 7
    outputs = [np.full(shape, np.nan, np.float32) for shape in (x.shape, 3, 3)]
    ones, eps = np.ones(3, np.float32), np.full(1, 1e-5, np.float32)
    adder_oracle.call(build.library()[0], "BatchNormTrain", [x, ones, 0 * ones, eps, *outputs[:2]], outputs[2])
    wide = x.astype(np.float64)
    np.testing.assert_allclose(outputs[1], wide.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(outputs[2], wide.var((0, 2, 3)), rtol=1e-5, atol=1e-9)


def test_networks_take_it():
    assert isinstance(Layers().norm(4), NativeBatchNorm2d)
