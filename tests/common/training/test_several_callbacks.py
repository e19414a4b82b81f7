"""Several callbacks of one training."""

import numpy as np
import pytest
import training_run as run
from callback_samples import SHIFT, STRETCH, Onlooker, Probed, observed, trained_part
from mindspore import Tensor, ops

from common.training import Callback
from common.training.callback import combined
from common.training.step import TrainStep, make_optimizer, trained_parameters


class Decay(Callback):
    """Keeps the last gradient of ``stretch``, which another callback watches too."""

    def __init__(self, network, finished):
        super().__init__([network.stretch])
        self.last, self.answer = network.last, finished

    def construct(self, gradients):
        ops.assign(self.last, gradients[0])
        return gradients

    def after_epoch(self, epoch):
        return {"decay": epoch, "watched": "overwritten"}

    def finished(self):
        return self.answer


class Shifts(Callback):
    """Adds up the gradients of ``shift``."""

    def __init__(self, network):
        super().__init__([network.stretch, network.shift])
        self.sums = network.sums

    def construct(self, gradients):
        ops.assign_add(self.sums, ops.abs(gradients[1]))
        return gradients

    def after_epoch(self, epoch):
        return {"watched": epoch}


def test_each_of_several_callbacks_gets_the_gradients_of_its_parameters(mode):
    """In its order, those of a parameter that two of them watch to both; one watches nothing."""
    rng, memories = np.random.default_rng(0), []
    x, labels = rng.normal(0, 1, (8, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32)
    for make in (
        lambda network: [Onlooker(network)],
        lambda network: [Decay(network, True), Callback(), Shifts(network)],
    ):
        network = Probed(SHIFT, STRETCH)
        callback = combined(make(network))
        optimizer = make_optimizer(trained_parameters(network, callback), run.CONFIG, 3)
        step = TrainStep(network, optimizer, run.CONFIG, callback)
        step.set_train(True)
        step(Tensor(x), Tensor(labels))
        assert np.array_equal(network.shift.asnumpy(), SHIFT) and np.array_equal(network.stretch.asnumpy(), STRETCH)
        memories.append((network.sums.asnumpy(), network.last.asnumpy(), trained_part(network)["fc.weight"]))
    assert memories[0][0].any() and memories[0][1].any()
    for one, several in zip(*memories):
        np.testing.assert_allclose(one, several, rtol=1e-6)


@pytest.mark.parametrize("answer", [True, False])
def test_records_and_ends_of_several_callbacks_combine(tmp_path, no_picture, pynative, answer):
    network = Probed()
    history = observed(tmp_path, network, Decay(network, answer), Shifts(network)).run()
    assert [(line["decay"], line["watched"], line["finished"]) for line in history] == [
        (i, i, answer) for i in range(3)
    ]
    assert (tmp_path / "best.ckpt").exists() == answer
