"""Gradients of every network in GRAPH mode: the same for the same images, whatever ran in between.

MindSpore has operators whose gradient is right in the first step only; a single comparison does not find them.
"""

import numpy as np
import pytest
from mindspore import ParameterTuple, Tensor, nn, ops

from common.models.registry import MODELS
from common.runtime.context import execution_mode

# Minutes to compile, built of the same blocks as others.
DEEP = ("resnet110", "resnet32_conv", "resnet56_conv", "preact_resnet110", "adder_resnet32", "densenet100")


class Gradients(nn.Cell):
    def __init__(self, network):
        super().__init__(auto_prefix=False)
        self.network = network
        self.gradient = ops.grad(self.loss, 0, ParameterTuple(network.trainable_params()))

    def loss(self, images, labels):
        return ops.cross_entropy(self.network(images), labels)

    def construct(self, images, labels):
        return self.gradient(images, labels)


def batch(seed, side, scale):
    rng = np.random.default_rng(seed)
    images = (scale * rng.normal(size=(2, 3, side, side))).astype(np.float32)
    return Tensor(images), Tensor(rng.integers(0, 10, 2).astype(np.int32))


@pytest.mark.training
@pytest.mark.parametrize("name", [name for name in MODELS if name not in DEEP])
def test_the_same_images_give_the_same_gradients(name):
    side = 64 if "imagenet" in MODELS[name].datasets else 32
    network = MODELS[name].build(10)
    network.set_train(False)  # BatchNorm by its moving statistics, no dropout: nothing changes between the steps
    with execution_mode("graph"):
        gradients, steps = Gradients(network), []
        for seed, scale in ((0, 1), (1, 10), (0, 1), (2, 0.1), (0, 1)):
            inputs, weights = gradients(*batch(seed, side, scale))
            steps.append([inputs.asnumpy().copy(), *(weight.asnumpy().copy() for weight in weights)])
    for later in (steps[2], steps[4]):
        for first, again in zip(steps[0], later):
            np.testing.assert_array_equal(first, again)
