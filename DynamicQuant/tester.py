"""The test after each epoch: of the network as it would be used, frozen and with its budget met."""

from dataclasses import dataclass, fields

import numpy as np
from mindspore import nn

from common.data import ImageSource, Preprocessing
from common.evaluation import Metrics, evaluate_images
from common.stored.network import StoredNetwork
from DynamicQuant.budget import candidate_costs, fit_budget
from DynamicQuant.choices import Choices, Recorder
from DynamicQuant.frozen import config_of, freeze, frozen_twin

_BUDGET_IMAGES = 1024


@dataclass(frozen=True)
class DynamicMetrics(Metrics):
    """Metrics of a dynamic network.

    Attributes:
        bits: mean bits over images and dynamic layers.
        of_static: mean bit operations relative to the static network's.
        entropy: mean over the layers of the entropy of their choices, in bits.
        shift: of the controller's bias, per bit, that met the budget.
    """

    bits: float
    of_static: float
    entropy: float
    shift: float

    def result(self) -> dict[str, float | int]:
        added = fields(self)[len(fields(Metrics)) :]
        return {**super().result(), **{field.name: getattr(self, field.name) for field in added}}


class DynamicTester:
    """Freezes a dynamic network in training, fits its budget on training images, and measures it.

    Args:
        stored: the network and what its files record.
        train: images that it is trained on.
        test: images to measure it on.
        preprocessing: of both.
        batch_size: of the evaluation.
        budget: ``bitflops`` or ``mean-bits``.
        seed: of the choice of training images.
    """

    def __init__(
        self,
        stored: StoredNetwork,
        train: ImageSource,
        test: ImageSource,
        preprocessing: Preprocessing,
        batch_size: int,
        budget: str,
        seed: int,
    ):
        self.config, self.twin = config_of(stored), frozen_twin(stored)
        self.recorder = Recorder(self.twin)
        self.test, self.preprocessing, self.batch_size = test, preprocessing, batch_size
        self.sample = train.sample(min(_BUDGET_IMAGES, len(train)), seed)
        macs = [self.twin.macs[name] for name in self.twin.dynamic]
        self.costs, self.limit = candidate_costs(macs, self.config, budget)

    def prepare(self, network: nn.Cell) -> float:
        """Make the frozen twin what the network would be used as; returns the shift of its bias."""
        freeze(network, self.twin)
        size = min(self.batch_size, len(self.sample))
        starts = range(0, len(self.sample) - size + 1, size)  # whole batches: nothing is compiled for a rest
        images = (self.sample.eval_batch(np.arange(i, i + size), self.preprocessing) for i in starts)
        return fit_budget(self.twin, images, self.costs, self.limit, self.config)

    def bias(self) -> np.ndarray:
        """The controller's last bias that meets the budget."""
        return self.twin.controller.last.bias.asnumpy().copy()

    def __call__(self, network: nn.Cell) -> DynamicMetrics:
        """Measure a network in training."""
        shift = self.prepare(network)
        metrics = evaluate_images(self.recorder, self.test, self.preprocessing, self.batch_size, "test")
        choices = self.choices()
        base = {field.name: getattr(metrics, field.name) for field in fields(metrics)}
        figures = {"bits": float(choices.bits.mean()), "entropy": float(choices.entropy.mean()), "shift": shift}
        return DynamicMetrics(**base, **figures, of_static=float(choices.operations.mean() / choices.static_operations))

    def choices(self) -> Choices:
        """What the test images chose in the last measurement."""
        index = self.recorder.index(len(self.test))
        return Choices(index, self.test.labels, self.config, self.twin.dynamic, self.twin.macs)
