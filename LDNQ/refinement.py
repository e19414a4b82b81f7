r"""The refinement by Adam: steps as wide as the cells of the levels, for networks whose channels differ in size.

As :class:`LDNQ.matching.MatchStep` with all codes free, but with Adam's direction (Kingma & Ba, ICLR 2015) in place of
the gradient, and steps in units of what they change:

.. math::
    m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
    d = \frac{m / (1 - \beta_1^k)}{\sqrt{v / (1 - \beta_2^k)} + \epsilon}, \qquad t \leftarrow t - r\,h\,d

A latent value moves by r of its level's cell, whose width is h = max(a, 3/4 \|g\|) at the level g: between 2^i and
2^(i+1) levels are as far apart as they are large. BatchNorm's parameters and others move by 0.3 r of the root mean
square that their parameter has at the beginning (as in Adafactor, Shazeer & Stern, ICML 2018). A depthwise layer's
weights are a hundred times larger than those behind it: no rate of plain SGD suits both.

With a weight w of features the loss has the outputs f of the B blocks too, beside those f* of the float network,

.. math::
    L = \mathrm{mean} (z - z^*)^2 + \frac{w}{B} \sum_b \frac{\mathrm{mean} (f_b - f_b^*)^2}{\mathrm{mean} f_b^{*2}}

(hints as in FitNets, Romero et al., ICLR 2015, without their regressor, for both have the same channels): few images
have few logits, but many values between the layers.
"""

from collections.abc import Mapping

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from common.errors import ConfigError
from LDNQ.latent import LevelledParameter
from LDNQ.matching import MatchStep, finite, zeros_like

_BETAS, _EPS = (0.9, 0.99), 1e-12
_REST = 0.3
MARGIN = 0.25  # of latent values, see LDNQ.latent.latent_values: Adam's first steps are as long as any
_WARMUP = 20


class Features(nn.Cell):
    """The float network whose blocks are matched: images (N, 3, H, W) to outputs (N, C, H, W) of each.

    Args:
        teacher: the float network, as it stays, with a method ``blocks_and_logits``.
        weight: weight w of the blocks in the loss.

    Raises:
        ConfigError: a network that does not tell its blocks.
    """

    def __init__(self, teacher: nn.Cell, weight: float):
        super().__init__(auto_prefix=False)
        if not hasattr(teacher, "blocks_and_logits"):
            raise ConfigError(
                f"feature_weight: expected a network that tells its blocks, such as a ResNet of the zoo, found "
                f"{type(teacher).__name__}; leave the weight at 0"
            )
        for parameter in teacher.get_parameters():
            parameter.name = f"teacher.{parameter.name}"  # beside those of the network that learns, in one graph
            parameter.requires_grad = False
        self.teacher, self.weight = teacher.set_train(False), weight

    def construct(self, images):
        return self.teacher.blocks_and_logits(images)[0]


class RefineStep(MatchStep):
    """One step by Adam: images (B, 3, H, W), logits (B, K), rate r, corrections 1 - beta^k (2,) to the loss.

    Args:
        network: network to train, all its levelled parameters on levels.
        levelled: these parameters by name.
        level_count: number of levels.
        features: blocks that are matched beside the logits; None: logits alone.

    Attributes:
        squares: second moments of all parameters.
    """

    def __init__(
        self,
        network: nn.Cell,
        levelled: Mapping[str, LevelledParameter],
        level_count: int,
        features: Features | None = None,
    ):
        super().__init__(network, levelled, level_count)
        self.features = features
        self.squares = ParameterTuple([zeros_like(p, "square") for p in (*self.values, *self.rest)])
        self.units = [_REST * float(np.sqrt(np.square(p.asnumpy()).mean())) for p in self.rest]

    def set_train(self, mode: bool = True) -> "RefineStep":
        """As that of :class:`LDNQ.matching.MatchStep`; the float network is in evaluation always."""
        super().set_train(mode)
        if self.features is not None:
            self.features.set_train(False)
        return self

    @property
    def moments(self) -> tuple[Parameter, ...]:
        """What the next step depends on beside the network and its latent values."""
        return (*self.speeds, *self.squares)

    def restart(self) -> None:
        """Both moments to zero."""
        super().restart()
        for square in self.squares:
            square.set_data(Tensor(np.zeros(square.shape, np.float32)))

    def _loss(self, images, logits):
        if self.features is None:
            return ops.square(self.network(images) - logits).mean()
        blocks, found = self.network.blocks_and_logits(images)
        loss = ops.square(found - logits).mean()
        for block, wanted in zip(blocks, self.features(images)):
            error = ops.square(block - wanted).mean() / ops.square(wanted).mean()
            loss = loss + self.features.weight / len(blocks) * error
        return loss

    def construct(self, images, logits, rate, corrections):
        loss, gradients = self.value_and_grad(images, logits)
        count = len(self.values)
        for i in range(count):
            width = ops.maximum(self.scales[i], 0.75 * ops.abs(self.values[i]))  # as LDNQ.latent.cell_width
            latent = self.latents[i] - rate * width * self._direction(i, gradients[i], corrections)
            ops.assign(self.latents[i], latent)
            ops.assign(self.values[i], self._levelled(latent, self.scales[i]))
        for i in range(len(self.rest)):
            step = rate * self.units[i] * self._direction(count + i, gradients[count + i], corrections)
            ops.assign(self.rest[i], self.rest[i] - step)
        return loss

    def _direction(self, i, gradient, corrections):
        speed = _BETAS[0] * self.speeds[i] + (1 - _BETAS[0]) * gradient
        square = _BETAS[1] * self.squares[i] + (1 - _BETAS[1]) * ops.square(gradient)
        ops.assign(self.speeds[i], speed)
        ops.assign(self.squares[i], square)
        return speed / corrections[0] / (ops.sqrt(square / corrections[1]) + _EPS)

    def refine(self, images: np.ndarray, logits: np.ndarray, rate: float, number: int) -> float:
        """Take a step; see :meth:`LDNQ.matching.MatchStep.refine`. The rate rises over the first 20 steps."""
        rate = rate * min(1, (number + 1) / _WARMUP)
        corrections = np.array([1 - beta ** (number + 1) for beta in _BETAS], np.float32)
        return finite(self(Tensor(images), Tensor(logits), Tensor(rate, mstype.float32), Tensor(corrections)))
