"""One step of a training: its recipe, loss, gradients and optimizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Parameter, ParameterTuple, nn, ops

from common import distributed
from common.distributed.collective import MeanGradients
from common.errors import ConfigError
from common.training.schedules import Schedule


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step, over all processes; what does not fill a batch is left out of an epoch.
        schedule: learning rates.
        optimizer: ``sgd`` (with momentum, as PyTorch defines it) or ``adam``.
        momentum: of ``sgd``.
        weight_decay: L2 penalty on all parameters.
        clip_norm: upper limit of the gradient's global L2 norm; None for none.
        label_smoothing: share of the target spread over all classes.
        augment: whether images are augmented.
        seed: of order and augmentation.
    """

    epochs: int
    batch_size: int
    schedule: Schedule
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    augment: bool = True
    seed: int = 0


class Observer(nn.Cell):
    """What a method watches while a network trains: gradients of parameters that are not trained, and epochs.

    ``construct(gradients)`` takes the gradients of ``parameters`` in each step, and is part of the compiled step. All
    state must live in parameters of the network, so that it is saved and restored with it.

    Args:
        parameters: trainable ones of the network, kept from the optimizer.
    """

    def __init__(self, parameters: Sequence[Parameter]):
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.parameters = ParameterTuple(parameters)

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Called after each epoch, numbered from 0, before its test; what it returns goes into the metrics."""
        return {}

    def finished(self) -> bool:
        """Whether the network is what the training is to end with; only then can it become ``best.ckpt``."""
        return True


class TrainStep(nn.Cell):
    """Loss, gradients and one step of the optimizer: images (B, 3, H, W), labels (B,) to loss and logits.

    ``objective``, a cell from images and labels to loss and logits, stands in the place of the network's cross-entropy.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        label_smoothing: float,
        clip_norm: float | None,
        observer: Observer | None = None,
        objective: nn.Cell | None = None,
    ):
        super().__init__()
        self.objective = objective
        self.network, self.optimizer, self.clip_norm, self.observer = network, optimizer, clip_norm, observer
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.trained = len(optimizer.parameters)
        watched = list(observer.parameters) if observer else []
        weights = ParameterTuple([*optimizer.parameters, *watched])
        self.value_and_grad = ops.value_and_grad(self._forward, None, weights, has_aux=True)
        self.mean_gradients = MeanGradients() if distributed.size() > 1 else None

    def _forward(self, images, labels):
        if self.objective is not None:
            return self.objective(images, labels)
        logits = self.network(images)
        return self.loss(logits, labels), logits

    def construct(self, images, labels):
        (loss, logits), gradients = self.value_and_grad(images, labels)
        if self.mean_gradients is not None:
            gradients = self.mean_gradients(gradients)
        if self.observer is not None:
            self.observer(gradients[self.trained :])
            gradients = gradients[: self.trained]
        if self.clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        self.optimizer(gradients)
        return loss, logits


def make_optimizer(parameters: list[Parameter], recipe: Recipe, steps_per_epoch: int) -> nn.Optimizer:
    """The optimizer of a recipe with its learning rates of all steps.

    Raises:
        ConfigError: an optimizer other than sgd or adam.
    """
    rates = recipe.schedule.rates(recipe.epochs, steps_per_epoch).tolist()
    # Given as a plain list, MindSpore would leave out every parameter with "beta" or "gamma" in its name.
    group = [{"params": parameters, "weight_decay": recipe.weight_decay}]
    if recipe.optimizer == "sgd":
        return nn.Momentum(group, rates, recipe.momentum)
    if recipe.optimizer == "adam":
        return nn.Adam(group, rates)
    raise ConfigError(f"optimizer: expected sgd or adam, found {recipe.optimizer!r}")


def trained_parameters(network: nn.Cell, observer: Observer | None) -> list[Parameter]:
    """The trainable parameters that are the optimizer's: all but those that are only observed."""
    watched = {id(p) for p in observer.parameters} if observer else set()
    return [p for p in network.trainable_params() if id(p) not in watched]
