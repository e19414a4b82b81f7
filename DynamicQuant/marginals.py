r"""Worth of single choices: the loss of each image when one layer alone takes another candidate.

.. math::
    \Delta_{nlk} = \ell_n(m^t \text{ but } k \text{ in layer } l) - \ell_n(m^t), \qquad
    g_{nlk} = \frac{\partial \ell_n}{\partial m_{nlk}} - \frac{\partial \ell_n}{\partial m_{nlt}}

at the masks :math:`m^t` of t bits everywhere. g is what the straight-through gradient takes for :math:`\Delta`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from DynamicQuant.network import DynamicNetwork

MIDDLE = 1  # of the candidates t - 1, t, t + 1


@dataclass(frozen=True, eq=False)
class Marginals:
    """Losses of N images with single choices in L dynamic layers of K candidates.

    Attributes:
        change: change of the loss, (N, L, K) float64, 0 at t bits.
        gradient: prediction of that change by the straight-through gradient, (N, L, K), 0 at t bits.
        features: input of the controller for each image, (N, F).
        loss: loss of each image at t bits everywhere, (N,).
    """

    change: np.ndarray
    gradient: np.ndarray
    features: np.ndarray
    loss: np.ndarray


class _Given(nn.Cell):
    """Logits under given masks: (N, 3, H, W), (N, L, K) to (N, classes)."""

    def __init__(self, network: DynamicNetwork):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images, mask):
        return self.network.other_stages(self.network.first_stage(images)[0], mask)


class _Loss(nn.Cell):
    """Summed cross-entropy under given masks."""

    def __init__(self, given: _Given):
        super().__init__(auto_prefix=False)
        self.given = given

    def construct(self, images, mask, labels):
        return ops.cross_entropy(self.given(images, mask), labels, reduction="sum")


class _Features(nn.Cell):
    """The pooled first stage, the controller's input: (N, 3, H, W) to (N, C, 8, 8)."""

    def __init__(self, network: DynamicNetwork):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images):
        return self.network.controller.pool(self.network.first_stage(images)[0])


def labelled_batches(
    source: ImageSource, preprocessing: Preprocessing, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Whole batches of images (B, 3, H, W), not augmented, and their labels (B,); what does not fill one is left out.

    Raises:
        ConfigError: there is no whole batch.
    """
    if len(source) < batch_size:
        raise ConfigError(f"expected a batch_size of at most {len(source)}, the images to look at, found {batch_size}")
    for start in range(0, len(source) - batch_size + 1, batch_size):
        index = np.arange(start, start + batch_size)
        yield source.eval_batch(index, preprocessing), source.labels[index]


def measure(network: DynamicNetwork, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Marginals:
    """Try every other candidate of every layer by itself.

    Args:
        network: dynamic network with three candidates.
        batches: images (B, 3, H, W) and labels (B,), all of one size.
    """
    network.set_train(False)
    given, features_of = _Given(network), _Features(network)
    gradient_of, parts = ms.grad(_Loss(given), 1), []
    for images, labels in batches:
        images, labels = Tensor(images), np.asarray(labels, np.int32)
        mask = np.zeros((len(labels), len(network.dynamic), 3), np.float32)
        mask[:, :, MIDDLE] = 1
        loss = cross_entropy(given(images, Tensor(mask)).asnumpy(), labels)
        change = np.zeros(mask.shape)
        for layer, candidate in np.ndindex(mask.shape[1:]):
            if candidate != MIDDLE:
                other = mask.copy()
                other[:, layer] = np.eye(3)[candidate]
                change[:, layer, candidate] = cross_entropy(given(images, Tensor(other)).asnumpy(), labels) - loss
        gradient = gradient_of(images, Tensor(mask), Tensor(labels)).asnumpy().astype(np.float64)
        features = features_of(images).asnumpy().reshape(len(labels), -1)
        parts.append((change, gradient - gradient[:, :, MIDDLE : MIDDLE + 1], features, loss))
    return Marginals(*(np.concatenate(values) for values in zip(*parts)))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Loss of each image, float64: logits (N, classes), labels (N,) to (N,)."""
    values = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return np.log(np.exp(values).sum(1)) - values[np.arange(len(labels)), labels]
