r"""What a training asks of the logits: the labels, a float network's logits, or a mixture of both.

A task's goal is made of a batch before the gradients are taken, so that what makes it has none:

=================  =================================  ==========================================================
task               goal                               loss of logits z
=================  =================================  ==========================================================
CrossEntropy       labels y                           :math:`H(y, z)`
Distillation       labels y, float logits z*          :math:`(1 - w)\,H(y, z) + w\,T^2\,KL(p^* \Vert p)`
=================  =================================  ==========================================================

with :math:`p = \mathrm{softmax}(z / T)` and :math:`p^* = \mathrm{softmax}(z^* / T)` (Hinton, Vinyals, Dean,
arXiv:1503.02531, section 2). At w = 1 the labels are not read.
"""

from dataclasses import dataclass

from mindspore import nn, ops

from common.errors import ConfigError


class CrossEntropy(nn.Cell):
    """Cross-entropy of logits (B, K) with labels (B,), mean over the batch.

    Args:
        label_smoothing: share of the target that is spread over all classes, 0 to 1.
    """

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__(auto_prefix=False)
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def goal(self, images, labels):
        """The labels."""
        return labels

    def construct(self, logits, goal):
        return self.loss(logits, goal)


@dataclass(frozen=True)
class DistillationWeights:
    """Settings of a distillation.

    Attributes:
        weight: w, share of the float network's logits in the loss, above 0 to 1.
        temperature: T, > 0.
    """

    weight: float = 0.5
    temperature: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1 or self.temperature <= 0:
            found = f"{self.weight:g} and {self.temperature:g}"
            raise ConfigError(f"distillation: expected a weight above 0 to 1 and a temperature > 0, found {found}")


class Distillation(nn.Cell):
    """Cross-entropy and the divergence from a float network's distribution, means over the batch.

    Args:
        teacher: float network from images to logits; it is frozen: never trained, always in evaluation.
        weights: share and temperature.
        label_smoothing: label smoothing of the cross-entropy.

    Note:
        The parameters of ``teacher`` are named anew, ``teacher.``, for they have the names of the network's.
    """

    def __init__(self, teacher: nn.Cell, weights: DistillationWeights, label_smoothing: float = 0.0):
        super().__init__(auto_prefix=False)
        self.teacher, self.weight, self.temperature = Frozen(teacher), weights.weight, weights.temperature
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def goal(self, images, labels):
        """The labels, and the float network's logits."""
        return labels, self.teacher(images)

    def construct(self, logits, goal):
        labels, aims = goal
        at, own = ops.log_softmax(aims / self.temperature, 1), ops.log_softmax(logits / self.temperature, 1)
        divergence = self.temperature**2 * (ops.exp(at) * (at - own)).sum(1).mean()
        if self.weight == 1:
            return divergence
        return (1 - self.weight) * self.loss(logits, labels) + self.weight * divergence


class Frozen(nn.Cell):
    """A network that stays in evaluation, whatever holds it, and that no optimizer sees.

    Args:
        network: network from images to logits; its parameters are named anew, ``teacher.``.
    """

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        network.update_parameters_name("teacher.")
        for parameter in network.get_parameters():
            parameter.requires_grad = False
        self.network = network
        self.set_train(False)

    def add_flags_recursive(self, **flags):
        """Flags of all cells, but for training."""
        flags.pop("training", None)
        return super().add_flags_recursive(training=False, **flags)

    def construct(self, images):
        return self.network(images)
