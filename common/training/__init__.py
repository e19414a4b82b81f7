"""One training: epochs, checkpoints, callbacks, learning rates; knows no method and no flag."""

from common.training.callback import Callback
from common.training.config import Run, TrainConfig, TrainData
from common.training.schedules import Schedule
from common.training.selection import selection_rule, training_summary
from common.training.task import CrossEntropy, Distillation, DistillationWeights
from common.training.trainer import OtherRunError, Trainer

__all__ = [
    "Callback",
    "CrossEntropy",
    "Distillation",
    "DistillationWeights",
    "OtherRunError",
    "Run",
    "Schedule",
    "TrainConfig",
    "TrainData",
    "Trainer",
    "selection_rule",
    "training_summary",
]
