r"""Bits of a whole network chosen for each image by the logits of a first pass at fewer bits.

.. math::
    y_n = \begin{cases} f_a(x_n) & \max_k \mathrm{softmax}(f_a(x_n))_k \ge \theta \\ f_b(x_n) & \text{else} \end{cases},
    \qquad \bar c = \frac{a^2 + p\,b^2}{t^2}

with networks f of a < t < b bits of weights and activations, p the share of images that take a second pass, and
:math:`\bar c` the mean bit operations of the quantized layers relative to the static network of t bits. The threshold
:math:`\theta` meets :math:`\bar c \le 1` on images that no network has learned, less two standard errors.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from common.errors import ConfigError

_ERRORS = 2.0  # standard errors of the share that are kept in reserve for other images


@dataclass(frozen=True, eq=False)
class Passes:
    """Logits of both passes of N images of K classes.

    Attributes:
        first: logits of the network of fewer bits, (N, K).
        second: logits of the other, (N, K).
        labels: classes, (N,).
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray

    def taken(self, threshold: float) -> np.ndarray:
        """Whether an image takes the second pass, (N,) bool."""
        return confidence(self.first) < threshold

    def right(self, threshold: float) -> int:
        """Number of images whose final logits are largest at their class; -inf: first pass alone, inf: second."""
        logits = np.where(self.taken(threshold)[:, None], self.second, self.first)
        return int((logits.argmax(1) == self.labels).sum())


def confidence(logits: np.ndarray) -> np.ndarray:
    """Largest probability that logits (N, K) give, (N,)."""
    return softmax(logits.astype(np.float64), axis=1).max(1)


def share_of(first: int, second: int, target: int) -> float:
    """Share p of second passes that gives the bit operations of a static network of ``target`` bits.

    Raises:
        ConfigError: bits in another order than first < target < second.
    """
    if not first < target < second:
        raise ConfigError(
            f"target_bits: expected bits between the networks' {first} and {second}, the first network that of fewer, "
            f"found {target}"
        )
    return min(1.0, (target**2 - first**2) / second**2)


def threshold_of(confidences: np.ndarray, share: float) -> float:
    """The largest threshold by which no more than this share of images takes a second pass.

    Args:
        confidences: of images that no network has learned, (N,).
        share: of them, from which two standard errors of N images are taken.
    """
    count = len(confidences)
    most = int(count * max(0.0, share - _ERRORS * np.sqrt(share * (1 - share) / count)))
    return float(np.sort(confidences)[most]) if most < count else np.inf
