"""What is observed inside a network against NumPy."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.errors import DataError
from common.runtime.hooks import input_hooks, output_hooks, reestimate_batch_norm, run_over


class TwoNorms(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(2), nn.BatchNorm2d(2)

    def construct(self, x):
        return self.second(self.first(x) * 3)


def test_reestimated_statistics_are_those_of_all_images():
    images = np.random.default_rng(0).normal(2, 3, (12, 2, 5, 5)).astype(np.float32)
    network = TwoNorms()
    reestimate_batch_norm(network, [images[:6], images[6:]])
    assert network.first.moving_mean.asnumpy() == pytest.approx(images.mean((0, 2, 3)), abs=1e-5)
    assert network.first.moving_variance.asnumpy() == pytest.approx(images.var((0, 2, 3)), rel=1e-5)
    assert network.second.moving_mean.asnumpy() == pytest.approx(np.zeros(2), abs=1e-5)
    assert network.second.moving_variance.asnumpy() == pytest.approx(np.full(2, 9), rel=1e-4)


def test_hooks_see_each_input_and_are_gone_afterwards():
    network, seen = TwoNorms(), []
    images = np.ones((3, 2, 4, 4), np.float32)
    network.set_train(False)
    with input_hooks({"second": network.second}, lambda name, x: seen.append((name, x))):
        run_over(network, [images, images[:1]])
    network(Tensor(images))
    assert [(name, x.shape) for name, x in seen] == [("second", (3, 2, 4, 4)), ("second", (1, 2, 4, 4))]
    assert seen[0][1] == pytest.approx(3 * images, rel=1e-4)


@pytest.mark.parametrize("hooks", [input_hooks, output_hooks])
def test_what_a_hook_returns_changes_nothing(hooks):
    network, images = nn.SequentialCell(nn.Conv2d(3, 4, 3), nn.ReLU()), Tensor(np.ones((2, 3, 5, 5), np.float32))
    with hooks({"conv": network[0]}, lambda name, x: 0 * x):
        seen = network(images)
    np.testing.assert_array_equal(seen.asnumpy(), network(images).asnumpy())


def test_no_image_is_an_error():
    with pytest.raises(DataError, match="empty"):
        reestimate_batch_norm(TwoNorms(), [])
