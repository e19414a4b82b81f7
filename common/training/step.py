"""One step of a training: loss, gradients and optimizer."""

import numpy as np
from mindspore import Parameter, ParameterTuple, nn, ops
from mindspore import dtype as mstype

from common import distributed
from common.distributed.collective import MeanGradients
from common.errors import ConfigError
from common.kernels.custom import use_native
from common.kernels.momentum import NativeMomentum
from common.training.callback import Callback
from common.training.config import TrainConfig
from common.training.task import CrossEntropy


class TrainStep(nn.Cell):
    """Loss, gradients and one step of the optimizer: images (B, 3, H, W), labels (B,) to loss and logits.

    Args:
        network: network from images to logits.
        optimizer: optimizer of the parameters that are trained.
        config: label smoothing and the limit of the gradients.
        callback: callback that gets the gradients of its parameters.
        objective: cell from images and the task's goal to loss and logits, which replaces the task's loss.
        task: what is asked of the logits, see :mod:`common.training.task`; None: the labels.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        config: TrainConfig,
        callback: Callback | None = None,
        objective: nn.Cell | None = None,
        task: nn.Cell | None = None,
    ):
        super().__init__()
        self.objective, self.task = objective, task or CrossEntropy(config.label_smoothing)
        self.network, self.optimizer, self.callback = network, optimizer, callback
        self.grad_clip_norm = config.grad_clip_norm
        self.trained = len(optimizer.parameters)
        watched = list(callback.parameters) if callback else []
        weights = ParameterTuple([*optimizer.parameters, *watched])
        self.value_and_grad = ops.value_and_grad(self._forward, None, weights, has_aux=True)
        self.mean_gradients = MeanGradients() if distributed.size() > 1 else None

    def _forward(self, images, goal):
        if self.objective is not None:
            return self.objective(images, goal)
        logits = self.network(images)
        return self.task(logits, goal), logits

    def construct(self, images, labels):
        (loss, logits), gradients = self.value_and_grad(images, self.task.goal(images, labels))
        if self.mean_gradients is not None:
            gradients = self.mean_gradients(gradients)
        if self.callback is not None:
            self.callback(gradients[self.trained :])
            gradients = gradients[: self.trained]
        if self.grad_clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.grad_clip_norm)
        self.optimizer(gradients)
        return loss, logits


def make_optimizer(parameters: list[Parameter], config: TrainConfig, steps_per_epoch: int) -> nn.Optimizer:
    """The optimizer that a configuration describes, with its learning rates of all steps.

    Raises:
        ConfigError: an optimizer other than sgd or adam.
    """
    rates = config.schedule.rates(max(1, config.epochs), max(1, steps_per_epoch)).tolist()
    # Given as a plain list, MindSpore would leave out every parameter with "beta" or "gamma" in its name.
    group = [{"params": parameters, "weight_decay": config.weight_decay}]
    if config.optimizer == "sgd" and use_native(None) and all(p.dtype == mstype.float32 for p in parameters):
        return NativeMomentum(parameters, rates, config.momentum, config.weight_decay)
    if config.optimizer == "sgd":
        return nn.Momentum(group, rates, config.momentum)
    if config.optimizer == "adam":
        return nn.Adam(group, rates)
    raise ConfigError(f"optimizer: expected sgd or adam, found {config.optimizer!r}")


def trained_parameters(network: nn.Cell, callback: Callback | None = None) -> list[Parameter]:
    """The trainable parameters that are the optimizer's: all but those that are a callback's."""
    watched = {id(p) for p in callback.parameters} if callback else set()
    return [p for p in network.trainable_params() if id(p) not in watched]


def check_finite(network: nn.Cell, epoch: int) -> None:
    """Refuse parameters that are not finite after an epoch; the loss may hide them, for ReLU makes zeros of NaN.

    Raises:
        ConfigError: there is one.
    """
    for parameter in network.get_parameters():
        if not np.isfinite(parameter.asnumpy()).all():
            where = f"{parameter.name} is not finite after epoch {epoch + 1}"
            raise ConfigError(f"{where}: training diverged, lower the learning rate")
