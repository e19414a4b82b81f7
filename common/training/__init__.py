"""One training: epochs, checkpoints, callbacks, learning rates; knows no method and no flag."""

from common.training.step import Observer, Recipe
from common.training.trainer import Trainer

__all__ = ["Observer", "Recipe", "Trainer"]
