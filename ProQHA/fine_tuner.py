"""What follows each step of a search: training, or statistics that follow its bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindspore import nn

from common.evaluation import Metrics
from common.files.atomic_file import remove_folders
from common.training import Run, TrainConfig, TrainData, Trainer
from ProQHA.progressive import STEP_FOLDER
from ProQHA.quant import get_bits


class FineTuner:
    """Trains a network after each step, from the same compiled training step, or corrects its statistics.

    Args:
        network: quantized network.
        data: training images.
        config: training after a step; None: none.
        folder: folder of the search.
        metadata: metadata that identify the network.
        correct: moves the network's BatchNorm statistics by what its bits of now change; None: they stay.
        validate: function from the network to its metrics on validation images, for the log; None where there are none.
    """

    def __init__(
        self,
        *,
        network: nn.Cell,
        data: TrainData,
        config: TrainConfig | None,
        folder: Path,
        metadata: dict[str, Any],
        correct: Callable[[], None] | None,
        validate: Callable[[nn.Cell], Metrics] | None,
    ):
        self.network, self.folder, self.metadata = network, folder, metadata
        self.correct, self.validate = correct, validate
        run = Run(folder, metadata)
        self.trainer = Trainer(network=network, data=data, config=config, run=run) if config else None

    def __call__(self, step: int) -> dict[str, float]:
        """Correct, then train unless it is step 0; ``acc`` in training, ``validation_acc`` if there are such images."""
        record = {}
        if self.correct:
            self.correct()
        if self.trainer and step:
            folder = self.folder / f"{STEP_FOLDER}{step:02d}"
            self.trainer.reset(folder, {**self.metadata, "step": step, "bits": get_bits(self.network).tolist()})
            record["acc"] = self.trainer.run()[-1]["acc"]
            remove_folders([folder])
        if self.validate:
            record["validation_acc"] = self.validate(self.network).accuracy
        return record
