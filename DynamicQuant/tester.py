"""Validation and test of a network as it would be used: frozen and with its budget met."""

from dataclasses import dataclass, fields

import numpy as np
from mindspore import nn

from common.data import ImageSource, Preprocessing
from common.evaluation import Metrics, evaluate_images
from common.quant.calibration import image_batches
from common.stored.network import StoredNetwork
from DynamicQuant.budget import fit_budget, network_costs
from DynamicQuant.choices import ChoiceRecorder, Choices
from DynamicQuant.frozen import config_of, freeze, frozen_twin
from DynamicQuant.network import Decisions

_BUDGET_IMAGES = 1024


@dataclass(frozen=True)
class DynamicMetrics(Metrics):
    """Metrics of a dynamic network.

    Attributes:
        bits: mean bits over images and dynamic layers.
        of_static: mean bit operations relative to the static network's.
        entropy: entropy of a layer's choices in bits, mean over the layers.
        shift: shift of the controller's bias, per bit, that met the budget.
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
        stored: network in training, and the metadata of its files.
        train: training images, some of which the budget is fitted on.
        preprocessing: preprocessing of the images.
        batch_size: images per step of the evaluation.
        budget: kind of budget, ``bitflops`` or ``mean-bits``.
        seed: seed of the choice of training images.

    Attributes:
        choices: choices of the images of the last measurement; None before it.
    """

    def __init__(
        self,
        stored: StoredNetwork,
        train: ImageSource,
        preprocessing: Preprocessing,
        batch_size: int,
        budget: str,
        seed: int,
    ):
        self.config, self.twin = config_of(stored), frozen_twin(stored)
        self.preprocessing, self.batch_size, self.decisions = preprocessing, batch_size, Decisions(self.twin)
        self.sample = train.sample(min(_BUDGET_IMAGES, len(train)), seed)
        self.costs, self.limit = network_costs(self.twin, self.config, budget)
        self.choices: Choices | None = None

    def prepare(self, network: nn.Cell) -> float:
        """Bring the frozen twin to the state in which the network would be used; returns the shift of its bias."""
        freeze(network, self.twin)
        size = min(self.batch_size, len(self.sample))
        whole = self.sample.head(len(self.sample) // size * size)  # whole batches: nothing is compiled for a rest
        batches = image_batches(whole, self.preprocessing, batch_size=size)
        return fit_budget(self.twin, batches, self.costs, self.limit, self.config)

    def bias(self) -> np.ndarray:
        """The controller's last bias that meets the budget."""
        return self.twin.controller.last.bias.asnumpy().copy()

    def __call__(self, source: ImageSource, *, label: str) -> "DynamicTest":
        """The function that measures a network in training on these images."""
        return DynamicTest(self, source, label)

    def measure(self, network: nn.Cell, source: ImageSource, label: str) -> DynamicMetrics:
        """Measure a network in training."""
        shift, recorder = self.prepare(network), ChoiceRecorder()
        metrics = evaluate_images(self.decisions, source, self.preprocessing, self.batch_size, label, recorder)
        self.choices = choices = recorder.choices(source.labels, self.config, self.twin)
        base = {field.name: getattr(metrics, field.name) for field in fields(metrics)}
        figures = {"bits": float(choices.bits.mean()), "entropy": float(choices.entropy.mean()), "shift": shift}
        of_static = float(choices.operations.mean() / choices.static_operations)
        return DynamicMetrics(**base, **figures, of_static=of_static)


@dataclass(frozen=True, eq=False)
class DynamicTest:
    """Function from a network in training to its metrics on images.

    Attributes:
        tester: what measures.
        source: images.
        label: text in front of the progress line.
    """

    tester: DynamicTester
    source: ImageSource
    label: str

    def __call__(self, network: nn.Cell) -> DynamicMetrics:
        return self.tester.measure(network, self.source, self.label)
