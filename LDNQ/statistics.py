"""The BatchNorm statistics that a network ends a cascade with."""

from collections.abc import Iterator

import numpy as np
from mindspore import nn

from common.runtime.hooks import (
    batch_norm_inputs,
    moving_statistics,
    reestimate_batch_norm,
    set_moving_statistics,
    shift_batch_norm,
)
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
        self.before, self.kept = None, {}
        if plan.statistics == "shifted":
            self.before = batch_norm_inputs(network, self._images())
            self.kept = moving_statistics(network)

    def end_refinement(self) -> None:
        """Take the statistics anew, where the plan says so."""
        if self.plan.statistics == "anew":
            reestimate_batch_norm(self.network, self._images())

    def begin_refinement(self, steps: int) -> None:
        """Shift the statistics, where the plan says so, for the refinement to compute with.

        Args:
            steps: of the refinement that are done: after the first the network has its statistics.
        """
        if self.before is None or steps:
            return
        set_moving_statistics(self.network, self.kept)
        shift_batch_norm(self.network, self.before, batch_norm_inputs(self.network, self._images()))

    def _images(self) -> Iterator[np.ndarray]:
        return self.data.passes(self.plan.statistics_views, count=self.plan.moment_images)
