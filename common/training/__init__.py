"""One training: epochs, checkpoints, callbacks, learning rates; knows no method and no flag."""

from common.training.callback import Callback
from common.training.config import Run, TrainConfig, TrainData
from common.training.schedules import Schedule
from common.training.selection import selection_rule, training_summary
from common.training.trainer import OtherRunError, Trainer

__all__ = [
    "Callback",
    "OtherRunError",
    "Run",
    "Schedule",
    "TrainConfig",
    "TrainData",
    "Trainer",
    "selection_rule",
    "training_summary",
]
