"""Filters of one size: the function stays, whatever the filters were, and only BatchNorms take factors back."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.models.registry import model
from common.quant.even_filters import LARGEST, even_filters, norms_behind
from common.quant.quantizable import quantizable_layers
from common.runtime.context import execution_mode
from common.runtime.hooks import batch_norms


class Network(nn.Cell):
    """A convolution with a bias, a depthwise one, one without a norm, a linear layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, pad_mode="pad", padding=1, has_bias=True)
        self.depthwise = nn.Conv2d(6, 6, 3, pad_mode="pad", padding=1, group=6)
        self.plain = nn.Conv2d(6, 4, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.fc = nn.Dense(4, 5)

    def construct(self, x):
        x = nn.ReLU()(self.norm2(self.first(x)))  # the norms stand in the other order
        return self.fc(self.plain(self.norm1(self.depthwise(x))).mean((2, 3)))


def uneven() -> Network:
    """Filters from 0 to hundreds times others, statistics as of a trained network, one variance far below epsilon."""
    network, rng = Network(), np.random.default_rng(3)
    for conv in (network.first, network.depthwise):
        sizes = np.array([0, 1e-4, 0.1, 1, 20, 300]).reshape(-1, 1, 1, 1)
        conv.weight.set_data(Tensor((rng.normal(0, 1, conv.weight.shape) * sizes).astype(np.float32)))
    network.first.bias.set_data(Tensor(rng.normal(0, 1, 6).astype(np.float32)))
    for norm in (network.norm1, network.norm2):
        for name, values in {
            "gamma": rng.normal(1, 0.3, 6),
            "beta": rng.normal(0, 1, 6),
            "moving_mean": rng.normal(0, 1, 6),
            "moving_variance": np.array([1e-9, 1e-6, 0.1, 1, 400, 9e4]),
        }.items():
            getattr(norm, name).set_data(Tensor(values.astype(np.float32)))
    return network.set_train(False)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_the_function_stays(mode):
    with execution_mode(mode):
        check_that_the_function_stays()


def check_that_the_function_stays():
    network, x = uneven(), Tensor(np.random.default_rng(0).normal(0, 1, (3, 3, 8, 8)).astype(np.float32))
    before = network(x).asnumpy()
    untouched = network.plain.weight.asnumpy().copy()
    assert even_filters(network, 8) == ["first", "depthwise"]
    network.compile_cache.clear()
    np.testing.assert_allclose(network(x).asnumpy(), before, rtol=0, atol=2e-5 * np.abs(before).max())
    for conv in (network.first, network.depthwise):
        largest = np.abs(conv.weight.asnumpy()).reshape(6, -1).max(1)
        np.testing.assert_allclose(largest, [0] + 5 * [LARGEST], rtol=1e-6)
    assert np.array_equal(network.plain.weight.asnumpy(), untouched)


def test_norms_are_found_by_what_flows_not_by_names(pynative):
    assert norms_behind(uneven(), 8) == {"first": "norm2", "depthwise": "norm1"}


def test_every_convolution_of_mobilenet_has_its_norm(pynative):
    network = model("mobilenet_v2_cifar").build(10)
    pairs = norms_behind(network, 32)
    convs = [name for name, layer in quantizable_layers(network).items() if isinstance(layer, nn.Conv2d)]
    assert list(pairs) == convs and list(pairs.values()) == list(batch_norms(network))
