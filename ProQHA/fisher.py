r"""The Fisher score: what lowering single quantizers costs, all from one forward and backward pass.

To second order, with the empirical Fisher information of the N images' losses as Hessian and its diagonal alone,
replacing the values v behind a quantizer by others raises the mean loss by

.. math::
    \Delta L \approx \frac12 \sum_i \mathrm{E}_n[g_{n,i}^2]\,\delta_i^2, \qquad
    \delta = Q_{new}(v) - Q_{old}(v)

with g_n the gradient of image n's loss for these values. An activation belongs to one image, so its gradient of the
mean loss is :math:`g_n / N`. A weight's gradient of the mean loss is the mean of N gradients; around a minimum, where
their expectation vanishes, N times its square estimates :math:`\mathrm{E}_n[g_n^2]`. For both kinds then, with g the
gradient of the mean loss,

.. math:: \Delta L \approx \frac{N}{2} \sum_i g_i^2\,(Q_{new}(v_i) - Q_{old}(v_i))^2 .
"""

from collections.abc import Sequence

import numpy as np
from mindspore import nn

from common.quant.dorefa import dorefa
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.pact import PACTInput, pact
from ProQHA.quant import ACTIVATIONS, WEIGHTS, Settings, get_bits, quant_layers, quantize_network, thinned
from ProQHA.scores import Lowering, Scorer, best_clips
from ProQHA.taps import Seen, TappedNetwork


class FisherScorer(Scorer):
    """See the module; a candidate's score is the sum over the quantizers that it lowers, in nats.

    Args:
        network: a float network of the same description as those to be scored; it is quantized here.
        settings: of the quantization.
        images: (N, 3, H, W).
        labels: (N,) int32.
    """

    additive = True

    def __init__(self, network: nn.Cell, settings: Settings, images: np.ndarray, labels: np.ndarray):
        quantize_network(network, settings, images.shape[-1])
        super().__init__(images)
        self.labels = labels.astype(np.int32)
        self.tapped = TappedNetwork(network, images.shape)

    def look(self, network: nn.Cell, bits: np.ndarray) -> Lowering:
        """As of any score, from the pass that also gives the gradients."""
        seen = self.tapped.see(network, self.images, self.labels)
        inputs = {name: thinned(own.inputs) for name, own in seen.items()}
        return Lowering(bits, best_clips(network, inputs, bits[:, ACTIVATIONS]), seen)

    def table(self, network: nn.Cell, lowering: Lowering) -> np.ndarray:
        """Scores (L, 2) of lowering each quantizer alone; 0 where its bits stay."""
        seen = lowering.seen or self.tapped.see(network, self.images, self.labels)
        bits, found = get_bits(network), np.zeros(lowering.bits.shape)
        for row, (name, layer) in enumerate(quant_layers(network).items()):
            now, low = bits[row], lowering.bits[row]
            if low[WEIGHTS] < now[WEIGHTS]:
                found[row, WEIGHTS] = _weight_term(layer, seen[name], *now[:1], *low[:1])
            if low[ACTIVATIONS] < now[ACTIVATIONS]:
                found[row, ACTIVATIONS] = _input_term(layer.quantize_input, seen[name], low[1], lowering.clips[row])
        return 0.5 * len(self.images) * found

    def __call__(self, network: nn.Cell, lowering: Lowering, candidates: Sequence[np.ndarray]) -> np.ndarray:
        lowers = np.array(candidates) < get_bits(network)
        return (self.table(network, lowering) * lowers).sum((1, 2))


def _weight_term(layer: QuantConv2d | QuantDense, seen: Seen, now: int, low: int) -> float:
    weight, gain = layer.weight.asnumpy(), layer.quantize_weight.gain.asnumpy()
    return _sum_of_squares(seen.weight_gradients * gain * (dorefa(weight, int(low)) - dorefa(weight, int(now))))


def _input_term(quantizer: PACTInput, seen: Seen, low: int, clip: float) -> float:
    now = pact(seen.inputs, int(quantizer.bits.asnumpy()[0]), quantizer.clip.asnumpy()[0], quantizer.signed)
    return _sum_of_squares(seen.input_gradients * (pact(seen.inputs, int(low), clip, quantizer.signed) - now))


def _sum_of_squares(values: np.ndarray) -> float:
    flat = values.ravel()
    return float(np.dot(flat, flat))
