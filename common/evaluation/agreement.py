r"""How near the outputs of two networks are on the same images, whose labels are not read.

Of logits z and those z* of a reference, (N, K) each, with probabilities p and p* (softmax):

.. math::
    \mathrm{difference} = \frac{1}{N K} \sum_{n, k} (z_{nk} - z^*_{nk})^2, \qquad
    \mathrm{divergence} = \frac{1}{N} \sum_{n, k} p^*_{nk} \log \frac{p^*_{nk}}{p_{nk}}

The divergence is Kullback and Leibler's, in nats. Both order the recipes of a quantization where the accuracies of few
images do not: each image tells K numbers in place of whether it is right.
"""

from dataclasses import dataclass

import numpy as np
from mindspore import nn
from scipy.special import log_softmax

from common.data import ImageSource, Preprocessing
from common.errors import QuantizationError
from common.evaluation.evaluate import evaluate_images


@dataclass(frozen=True)
class Agreement:
    """What two networks have in common.

    Attributes:
        samples: number of images N.
        same: images that both take for the same class.
        difference: mean squared difference of the logits.
        divergence: mean Kullback-Leibler divergence from the reference, in nats.
    """

    samples: int
    same: int
    difference: float
    divergence: float

    @property
    def rate(self) -> float:
        """Share of the images that both take for the same class, in [0, 1]."""
        return self.same / self.samples


def agreement(logits: np.ndarray, reference: np.ndarray) -> Agreement:
    """Compare logits (N, K) with those of the reference, N > 0; sums are float64.

    Raises:
        QuantizationError: arrays of different shapes.
    """
    if logits.shape != reference.shape or not len(logits):
        shapes = f"{logits.shape} and {reference.shape}"
        raise QuantizationError(f"expected logits (N, K) of the same images and classes, found {shapes}")
    found, wanted = logits.astype(np.float64), reference.astype(np.float64)
    log_p, log_wanted = log_softmax(found, 1), log_softmax(wanted, 1)
    divergence = (np.exp(log_wanted) * (log_wanted - log_p)).sum(1).mean()
    same = int((found.argmax(1) == wanted.argmax(1)).sum())
    return Agreement(len(found), same, float(np.square(found - wanted).mean()), float(divergence))


def logits_of(
    network: nn.Cell, images: ImageSource, preprocessing: Preprocessing, batch_size: int, label: str = ""
) -> np.ndarray:
    """Logits (N, K) of all images of a source, in its order, by one process.

    Raises:
        QuantizationError: as :func:`~common.evaluation.evaluate.evaluate`.
    """
    parts: list[np.ndarray] = []
    evaluate_images(
        network,
        images,
        preprocessing,
        batch_size,
        label,
        on_batch=lambda batch, outputs: parts.append(outputs[0][batch["valid"]]),
    )
    return np.concatenate(parts)
