r"""Scores of candidates: what their quantization would cost, measured three ways; lower is better.

``fisher`` (default): the change of the loss for a network made linear, which is to second order the Fisher form. It
adds up over the quantizers q that a candidate lowers, so one backward pass serves any number of candidates
(:mod:`.fisher`).

``adam``: the score of the original release, from one step of Adam at the candidate's bits:
:math:`\sum_i (\sqrt{v_i} + \epsilon)(\theta_i - \theta_i')^2`. As a first step moves every weight by about the learning
rate, this is the L1 norm of the gradient, up to a factor.

``acc``: minus the accuracy of the candidate itself, on training images that are kept from training.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

from common import distributed
from common.data import ImageSource, Preprocessing
from common.evaluation import score
from common.quant.calibration import best_clip, sample_inputs
from common.quant.layers import quant_layers
from ProQHA.quant import ACTIVATIONS, assign_clip, get_bits, quantizers, set_bits

SCORES = ("fisher", "adam", "acc")
_PASS = 128  # images at a time


@dataclass(frozen=True, eq=False)
class Lowering:
    """Bits and clips of every quantizer if it were lowered in this step.

    Attributes:
        bits: lowered bits, (L, 2).
        clips: clips of least squared error for the inputs at these bits, (L,).
    """

    bits: np.ndarray
    clips: np.ndarray

    def apply(self, network: nn.Cell, candidate: np.ndarray) -> None:
        """Give a network the bits of a candidate (L, 2), and the inputs that it lowers their new clips."""
        changed = candidate[:, ACTIVATIONS] != get_bits(network)[:, ACTIVATIONS]
        set_bits(network, candidate)
        for quantizer, clip, lowered in zip(quantizers(network, ACTIVATIONS), self.clips, changed):
            if lowered:
                assign_clip(quantizer, clip)


class Scorer(ABC):
    """Scores candidates of one step."""

    additive = False  # whether the score is a sum over the quantizers that are lowered

    def __init__(self, images: np.ndarray):
        self.images = images

    def plan(self, network: nn.Cell, bits: np.ndarray) -> Lowering:
        """Bits and clips of each quantizer of the network, as it is, if it were lowered to ``bits`` (L, 2).

        The clips are those of the scoring images (N, 3, H, W).
        """
        batches = (self.images[i : i + _PASS] for i in range(0, len(self.images), _PASS))
        inputs = sample_inputs(network, quant_layers(network), batches)
        lowered = zip(inputs.values(), bits[:, ACTIVATIONS], quantizers(network, ACTIVATIONS))
        return Lowering(bits, np.array([best_clip(x, int(k), quantizer.signed) for x, k, quantizer in lowered]))

    @abstractmethod
    def __call__(self, network: nn.Cell, lowering: Lowering, candidates: Sequence[np.ndarray]) -> np.ndarray:
        """Scores (K,) of K candidates (L, 2); the network stays as it is."""


class OneByOne(Scorer):
    """Tries every candidate in the network itself."""

    def __call__(self, network: nn.Cell, lowering: Lowering, candidates: Sequence[np.ndarray]) -> np.ndarray:
        bits, clips = get_bits(network), [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
        scores = []
        try:
            for candidate in candidates:
                lowering.apply(network, candidate)
                scores.append(self.one(network))
                self._restore(network, bits, clips)
        finally:
            self._restore(network, bits, clips)
        return np.array(scores)

    @staticmethod
    def _restore(network: nn.Cell, bits: np.ndarray, clips: Sequence[float]) -> None:
        set_bits(network, bits)
        for quantizer, clip in zip(quantizers(network, ACTIVATIONS), clips):
            assign_clip(quantizer, clip)

    @abstractmethod
    def one(self, network: nn.Cell) -> float:
        """Score of the network as it is."""


class AdamScorer(OneByOne):
    """Score ``adam`` of the module's text; one forward and backward pass per candidate.

    Args:
        network: network whose gradients are taken.
        images: scoring images, (N, 3, H, W).
        labels: classes of the images, (N,).
        lr: learning rate of the step.
        clip_norm: limit of the gradient's norm; None for none.
    """

    _BETA, _EPSILON = 0.999, 1e-8

    def __init__(self, network: nn.Cell, images: np.ndarray, labels: np.ndarray, lr: float, clip_norm: float | None):
        super().__init__(images)
        self.batch, self.lr, self.clip_norm = (Tensor(images), Tensor(labels)), lr, clip_norm
        self.gradients = _Gradients(network)

    def one(self, network: nn.Cell) -> float:
        network.set_train(False)
        gradients = [g.asnumpy().astype(np.float64).ravel() for g in self.gradients(*self.batch)]
        flat = np.concatenate(gradients)
        if self.clip_norm is not None:
            flat *= min(1.0, self.clip_norm / max(np.linalg.norm(flat), 1e-12))
        root = np.sqrt(1 - self._BETA) * np.abs(flat) + self._EPSILON  # of the second moment after one step
        step = self.lr * flat / (np.abs(flat) + self._EPSILON)  # both moments corrected for their start at 0
        return float((root * step**2).sum())


class _Gradients(nn.Cell):
    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network
        self.gradient = ops.grad(self._loss, None, ParameterTuple(network.trainable_params()))

    def _loss(self, images, labels):
        return ops.cross_entropy(self.network(images), labels)

    def construct(self, images, labels):
        return self.gradient(images, labels)


class AccuracyScorer(OneByOne):
    """Score ``acc`` of the module's text; one evaluation per candidate, whose batches several processes share.

    Args:
        images: images that set the clips, (N, 3, H, W).
        source: images that training does not see.
        preprocessing: preprocessing of the network.
        batch_size: images per step.
    """

    def __init__(self, images: np.ndarray, source: ImageSource, preprocessing: Preprocessing, batch_size: int):
        super().__init__(images)
        self.parts = []
        for first in distributed.share(range(0, len(source), batch_size)):
            numbers = np.arange(first, min(first + batch_size, len(source)))
            self.parts.append((source.eval_batch(numbers, preprocessing), source.labels[numbers]))
        self.count = len(source)

    def one(self, network: nn.Cell) -> float:
        network.set_train(False)
        right = sum(score(network(Tensor(images)).asnumpy(), labels)[0] for images, labels in self.parts)
        return -float(distributed.total(right)) / self.count
