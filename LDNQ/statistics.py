"""The BatchNorm statistics that a network ends a cascade with."""

from collections.abc import Iterator

import numpy as np
from mindspore import nn

from common.runtime.hooks import StatisticsShift, reestimate_batch_norm
from LDNQ.calibration_set import CalibrationSet
from LDNQ.plan import Plan


class FinalStatistics:
    """Remembers what the float network's BatchNorms see, where the plan wants statistics that are shifted.

    Args:
        network: float.
        data: images of both passes.
        plan: how statistics are taken, and from how many views.
    """

    def __init__(self, network: nn.Cell, data: CalibrationSet, plan: Plan):
        self.network, self.data, self.plan = network, data, plan
        self.shift = StatisticsShift(network, self._images) if plan.statistics == "shifted" else None

    def end_refinement(self) -> None:
        """Take the statistics anew, where the plan says so."""
        if self.plan.statistics == "anew":
            reestimate_batch_norm(self.network, self._images())

    def begin_refinement(self, steps: int) -> None:
        """Shift the statistics, where the plan says so, for the refinement to compute with.

        Args:
            steps: of the refinement that are done: after the first the network has its statistics.
        """
        if self.shift and not steps:
            self.shift()

    def _images(self) -> Iterator[np.ndarray]:
        return self.data.passes(self.plan.statistics_views, count=self.plan.moment_images)
