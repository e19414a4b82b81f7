r"""Fisher score: what lowering single quantizers costs, all from one forward and backward pass.

Let :math:`m_n = \log p_y - \log(1 - p_y)` be the log-odds of image n for its class y, so that its loss is
:math:`\ell(m_n) = \log(1 + e^{-m_n})`. Replacing the values v that quantizer q gives by others moves them, to first
order, by

.. math:: \delta_{n,q} = \Big\langle \frac{\partial m_n}{\partial v},\, Q_{new}(v) - Q_{old}(v) \Big\rangle

and the mean loss of N images, with :math:`f_{n,q} = \ell'(m_n)\,\delta_{n,q} = -(1 - p_y)\,\delta_{n,q}`, by

.. math::
    \bar f_q + r_q, \qquad
    r_q = \frac1N \sum_n \ell(m_n + \delta_{n,q}) - \ell(m_n) - f_{n,q}
        = \frac1N \sum_n \frac12 p_y (1 - p_y)\,\delta_{n,q}^2 + O(\delta^3) \;\ge 0 .

:math:`p_y (1 - p_y)` is the Fisher information of the log-odds in the outcome "class y or another": r is the Fisher
form, with all products of values of one quantizer. Only the network is made linear, not the loss, so that images
that the network is sure of, whose gradients vanish, count once their log-odds are moved far enough. For weights
:math:`\delta` is the gradient for a layer's output times the layer's product of its inputs with the change of weights.

In a network that has been trained to the end the mean of f over all images is about 0, but over N of them it varies
more than r is large. So the score takes as much of it as stands out of the noise, over all quantizers
(:math:`\sigma_q` the standard error of the mean of f; shrinkage by the method of moments):

.. math::
    s_q = r_q + \lambda \bar f_q, \qquad \lambda = \max\Big(0, 1 - 1 / \mathrm{mean}_q(\bar f_q^2 / \sigma_q^2)\Big) .
"""

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from common import distributed
from common.quant.dorefa import dorefa_weights
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.quant.pact import pact
from ProQHA.convert import quantize_network
from ProQHA.probes import ProbedNetwork, Trace
from ProQHA.quant import ACTIVATIONS, WEIGHTS, get_bits
from ProQHA.quant_config import QuantConfig
from ProQHA.scores import Lowering, Scorer


class FisherScorer(Scorer):
    """Fisher score of the module's text: the sum over the quantizers that a candidate lowers, in nats.

    Several processes share the images; the sums over all of them are the same in each.

    Args:
        network: a float network of the same description as those to be scored; it is quantized here.
        config: quantization settings.
        images: scoring images, (N, 3, H, W).
        labels: classes of the images, (N,).
    """

    additive = True

    def __init__(self, network: nn.Cell, config: QuantConfig, images: np.ndarray, labels: np.ndarray):
        quantize_network(network, config, images.shape[-1])
        super().__init__(images)
        self.labels = labels.astype(np.int32)
        self.probed = ProbedNetwork(network, images.shape[1:], -(-len(images) // distributed.size()))

    def table(self, network: nn.Cell, lowering: Lowering) -> np.ndarray:
        """Scores (L, 2) of lowering each quantizer alone; 0 where its bits stay."""
        self.probed.copy_from(network)
        bits, sums = get_bits(network), np.zeros((3, *lowering.bits.shape))
        for first in distributed.share(range(0, len(self.images), self.probed.batch)):
            numbers = np.arange(first, first + self.probed.batch)
            place = numbers % len(self.images)  # passes are of one size: the last one is filled up, and cut here
            log_odds, traces = self.probed.trace(self.images[place], self.labels[place])
            real = numbers < len(self.images)
            for row, (name, layer) in enumerate(quant_layers(network).items()):
                moved = _moved(layer, traces[name], bits[row], lowering.bits[row], lowering.clips[row])
                sums[:, row] += _sums(log_odds[real], moved[:, real])
        sums = distributed.total(sums)
        return _shrunk(sums / len(self.images), len(self.images), lowering.bits < bits)

    def __call__(self, network: nn.Cell, lowering: Lowering, candidates: Sequence[np.ndarray]) -> np.ndarray:
        lowers = np.array(candidates) < get_bits(network)
        return (self.table(network, lowering) * lowers).sum((1, 2))


def _sums(log_odds: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Sums over images of r, f and f squared, (3, ...), when log-odds (N,) move by (..., N)."""
    before = log_odds.astype(np.float64)
    slope = -moved * np.exp(-np.logaddexp(0, before))  # 1 - p
    increase = np.logaddexp(0, -(before + moved)) - np.logaddexp(0, -before)
    return np.array([(increase - slope).sum(-1), slope.sum(-1), (slope**2).sum(-1)])


def _shrunk(means: np.ndarray, images: int, lowered: np.ndarray) -> np.ndarray:
    """Scores (L, 2) from the means (3, L, 2) of r, f and f squared; ``lowered`` (L, 2) bool are those to look at."""
    rest, slope, square = means
    variance = (square - slope**2) / max(images - 1, 1)
    known = lowered & (variance > 0)
    signal = np.mean(slope[known] ** 2 / variance[known]) if known.any() else 0.0
    return rest + max(0.0, 1 - 1 / signal) * slope if signal else rest


def _moved(layer: QuantConv2d | QuantDense, trace: Trace, now: np.ndarray, low: np.ndarray, clip: float) -> np.ndarray:
    """Change of the log-odds of N images, (2, N), when the weights or the inputs of a layer get lower bits (2,)."""
    moved, quantizer = np.zeros((2, len(trace.inputs))), layer.quantize_input
    inputs = pact(trace.inputs, int(now[ACTIVATIONS]), quantizer.clip.asnumpy()[0], quantizer.signed)
    if low[WEIGHTS] < now[WEIGHTS]:
        weight = layer.weight.asnumpy()
        change = dorefa_weights(weight, int(low[WEIGHTS])) - dorefa_weights(weight, int(now[WEIGHTS]))
        change *= layer.quantize_weight.scale.asnumpy()
        moved[WEIGHTS] = _products(trace.output_gradients, layer.product(Tensor(inputs), Tensor(change)).asnumpy())
    if low[ACTIVATIONS] < now[ACTIVATIONS]:
        change = pact(trace.inputs, int(low[ACTIVATIONS]), clip, quantizer.signed) - inputs
        moved[ACTIVATIONS] = _products(trace.input_gradients, change)
    return moved


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner products (N,) of the images of two arrays (N, ...)."""
    return np.einsum("ni,ni->n", a.reshape(len(a), -1), b.reshape(len(b), -1))
