"""A network whose callbacks have something to watch, and callbacks that do so."""

import numpy as np
import training_run as run
from mindspore import Parameter, ParameterTuple, Tensor, ops

from common.checkpoint import network_state
from common.training import Callback

SHIFT, STRETCH = np.array([0.1, -0.2, 0.3, 0], np.float32), np.array([1, 2], np.float32)


class Probed(run.Small):
    """Adds ``shift`` to the logits and multiplies two of them by ``stretch``; the rest is the callback's memory."""

    def __init__(self, shift=(0, 0, 0, 0), stretch=(1, 1)):
        super().__init__()
        self.shift = Parameter(Tensor(np.array(shift, np.float32)), name="shift")
        self.stretch = Parameter(Tensor(np.array(stretch, np.float32)), name="stretch")
        self.sums = Parameter(Tensor(np.zeros(4, np.float32)), name="sums", requires_grad=False)
        self.last = Parameter(Tensor(np.zeros(2, np.float32)), name="last", requires_grad=False)
        self.factor = Parameter(Tensor(np.ones(1, np.float32)), name="factor", requires_grad=False)

    def construct(self, x):
        logits = super().construct(x) * self.factor
        return ops.cat((logits[:, :2] * self.stretch, logits[:, 2:]), 1) + self.shift


class Watcher(Callback):
    """Keeps the last gradient of ``stretch`` and the sum of the absolute ones of ``shift``; halves the logits twice."""

    def __init__(self, network, finished=(True, True, True)):
        super().__init__([network.shift, network.stretch])
        self.memory = ParameterTuple([network.sums, network.last, network.factor])
        self.answers, self.epochs = finished, []

    def construct(self, gradients):
        ops.assign_add(self.memory[0], ops.abs(gradients[0]))
        ops.assign(self.memory[1], gradients[1])
        return gradients

    def after_epoch(self, epoch):
        self.epochs.append(epoch)
        sums, _, factor = self.memory
        factor.set_data(Tensor(factor.asnumpy() * np.float32(0.5 + sums.asnumpy()[0] / 4)))
        return {"watched": sums.asnumpy().tolist(), "factor": factor.asnumpy().item()}

    def finished(self):
        return self.answers[self.epochs[-1]]


class Onlooker(Watcher):
    """Changes nothing."""

    def after_epoch(self, epoch):
        self.epochs.append(epoch)
        return {}


def trained_part(network):
    """The parameters that :class:`run.Small` has too, but not what the callback works with."""
    names = dict(run.Small().parameters_and_names())
    return {name: value for name, value in network_state.state(network).items() if name in names}


def observed(folder, network, *callbacks, config=run.CONFIG, **options):
    about = {"metadata": {"network": "probed"}, "callbacks": callbacks}
    return run.trainer(folder, config, network=network, **about, **options)
