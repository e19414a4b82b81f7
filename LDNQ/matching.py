r"""Training a partly quantized network to give the float network's logits: one compiled step for the whole cascade.

The step computes the loss mean (z - z*)^2 of the logits z against the float network's z*, and moves the parameters
by SGD with momentum. Every weight of a layer that LDNQ quantizes has a LATENT value t beside the value g
that the network computes with:

=========  =================  =======================  ==============================================================
state      g                  gradient acts on         when
=========  =================  =======================  ==============================================================
float      t                  t                        the layer's turn has not come
fixed      a nearest(t / a)   nothing                  quantized, while the cascade goes on (the paper)
free       a nearest(t / a)   t, straight through      quantized, while the codes are refined (ours)
=========  =================  =======================  ==============================================================

The scale a never moves: the BatchNorm after a layer is trained and takes its part. What is float, fixed or free is
data of the step, not part of its graph.
"""

from collections.abc import Mapping

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from common.errors import QuantizationError
from common.models.layers import NativeConv2d
from LDNQ.latent import LevelledParameter
from LDNQ.levels import magnitudes

FLOAT, FIXED, FREE = 0, 1, 2


class MatchStep(nn.Cell):
    """One training step: images (B, 3, H, W), logits (B, K), learning rate, states (P,) to the loss.

    Args:
        network: network to train.
        levelled: parameters of the network that are quantized sooner or later, by name.
        level_count: number of levels.
        momentum: momentum of SGD.
        clip_norm: upper limit of the gradient's global L2 norm.

    Attributes:
        fixed_statistics: whether BatchNorms normalise by their moving statistics, which then stay, in training too: the
            statistics of a few large images vary more than what is left to be matched.
    """

    def __init__(
        self,
        network: nn.Cell,
        levelled: Mapping[str, LevelledParameter],
        level_count: int,
        momentum: float = 0.9,
        clip_norm: float = 10.0,
    ):
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.network, self.clip_norm, self.fixed_statistics = network, clip_norm, False
        self.momentum = Tensor(momentum, mstype.float32)
        ordered = [p for p in network.trainable_params() if p.name in levelled]
        rest = [p for p in network.trainable_params() if p.name not in levelled]
        self.values = ParameterTuple(ordered)
        self.latents = ParameterTuple([levelled[p.name].latent for p in ordered])
        self.scales = ParameterTuple([levelled[p.name].scale for p in ordered])
        self.rest = ParameterTuple(rest)
        self.speeds = ParameterTuple([zeros_like(p) for p in ordered + rest])
        self.names = [p.name for p in ordered]
        self.apply_momentum = ops.ApplyMomentum()  # use_nesterov does nothing on CPU
        self.value_and_grad = ops.value_and_grad(self._loss, None, ParameterTuple(ordered + rest))
        middles = (magnitudes(level_count)[1:] + magnitudes(level_count)[:-1]) / 2
        self.jumps = list(zip(middles.tolist(), np.diff(magnitudes(level_count)).tolist()))

    def set_train(self, mode: bool = True) -> "MatchStep":
        """Training or evaluation of all cells but dropouts, for what they drop would be an error of the match.

        BatchNorms stay in evaluation where ``fixed_statistics`` says so.
        """
        super().set_train(mode)
        kinds = (nn.Dropout, nn.BatchNorm2d) if self.fixed_statistics else nn.Dropout
        if self.fixed_statistics:
            self.compile_cache.clear()  # what is compiled does not see that cells within changed their mode
        for _, cell in self.network.cells_and_names():
            if isinstance(cell, kinds):
                cell.set_train(False)
            if self.fixed_statistics and isinstance(cell, NativeConv2d):
                cell.apart = mode  # their gradients need what is between a convolution and its norm
        return self

    def restart(self) -> None:
        """Set the momentum to zero, as at the beginning of every stage."""
        for speed in self.speeds:
            speed.set_data(Tensor(np.zeros(speed.shape, np.float32)))

    def _loss(self, images, logits):
        return ops.square(self.network(images) - logits).mean()

    def _levelled(self, latent, scale):
        """The value a nearest(t / a); a layer of scale 0 stays 0."""
        size = ops.abs(latent) / ops.maximum(scale, 1e-30)
        level = ops.zeros_like(size)
        for middle, jump in self.jumps:
            level = level + jump * (size >= middle).astype(mstype.float32)
        return scale * (ops.sign(latent) * level)

    def construct(self, images, logits, rate, states):
        loss, gradients = self.value_and_grad(images, logits)
        gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        count = len(self.values)
        for i in range(count):
            state = states[i]
            latent_rate = rate * (state != FIXED).astype(mstype.float32)
            self.apply_momentum(self.latents[i], self.speeds[i], latent_rate, gradients[i], self.momentum)
            latent = self.latents[i].value()
            levelled = self._levelled(latent, self.scales[i])
            ops.assign(self.values[i], ops.select(state == FLOAT, latent, levelled))
        for i in range(len(self.rest)):
            self.apply_momentum(self.rest[i], self.speeds[count + i], rate, gradients[count + i], self.momentum)
        return loss

    @property
    def moments(self) -> tuple[Parameter, ...]:
        """What the next step depends on beside the network and its latent values."""
        return tuple(self.speeds)

    def refine(self, images: np.ndarray, logits: np.ndarray, rate: float, number: int) -> float:
        """Take a step of the refinement, in which all codes are free; returns the loss before it.

        Args:
            images: (B, 3, H, W).
            logits: of the float network, (B, K).
            rate: learning rate.
            number: of steps that were taken before.

        Raises:
            QuantizationError: the loss is not finite.
        """
        return self.advance(images, logits, rate, dict.fromkeys(self.names, FREE))

    def advance(self, images: np.ndarray, logits: np.ndarray, rate: float, states: Mapping[str, int]) -> float:
        """Take one step; ``states`` by the names of the levelled parameters. Returns the loss before it.

        Raises:
            QuantizationError: the loss is not finite.
        """
        order = np.array([states[name] for name in self.names], np.int32)
        loss = self(Tensor(images), Tensor(logits), Tensor(rate, mstype.float32), Tensor(order))
        return finite(loss)


def finite(loss: Tensor) -> float:
    """The value of a loss.

    Raises:
        QuantizationError: it is not finite.
    """
    value = float(loss.asnumpy())
    if not np.isfinite(value):
        raise QuantizationError(f"the loss is {value}: matching diverged, lower the learning rate --lr or --refine_lr")
    return value


def zeros_like(parameter: Parameter, name: str = "speed") -> Parameter:
    """A moment of a parameter, 0 at first."""
    return Parameter(
        Tensor(np.zeros(parameter.shape, np.float32)), name=f"{name}.{parameter.name}", requires_grad=False
    )
