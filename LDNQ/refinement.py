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
"""

from collections.abc import Mapping

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from LDNQ.latent import LevelledParameter
from LDNQ.matching import MatchStep, finite, zeros_like

_BETAS, _EPS = (0.9, 0.99), 1e-12
_REST = 0.3
MARGIN = 0.25  # of latent values, see LDNQ.latent.latent_values: Adam's first steps are as long as any
_WARMUP = 20


class RefineStep(MatchStep):
    """One step by Adam: images (B, 3, H, W), logits (B, K), rate r, corrections 1 - beta^k (2,) to the loss.

    Args:
        network: network to train, all its levelled parameters on levels.
        levelled: these parameters by name.
        level_count: number of levels.

    Attributes:
        squares: second moments of all parameters.
    """

    def __init__(self, network: nn.Cell, levelled: Mapping[str, LevelledParameter], level_count: int):
        super().__init__(network, levelled, level_count)
        self.squares = ParameterTuple([zeros_like(p, "square") for p in (*self.values, *self.rest)])
        self.units = [_REST * float(np.sqrt(np.square(p.asnumpy()).mean())) for p in self.rest]

    @property
    def moments(self) -> tuple[Parameter, ...]:
        """What the next step depends on beside the network and its latent values."""
        return (*self.speeds, *self.squares)

    def restart(self) -> None:
        """Both moments to zero."""
        super().restart()
        for square in self.squares:
            square.set_data(Tensor(np.zeros(square.shape, np.float32)))

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
