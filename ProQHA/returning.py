"""Bits that go back at the end of a search: what the targets leave room for, to the quantizers that need it most.

Activations lose bits before all weights have lost theirs, by a forecast of the operations that those will take with
them. Where it was too high the network ends with fewer operations than it may have.
"""

import numpy as np
from mindspore import nn

from common.quant.dorefa import MAX_BITS
from ProQHA.candidates import Targets
from ProQHA.cost_model import CostModel
from ProQHA.quant import ACTIVATIONS, get_bits, quantizers
from ProQHA.scores import Lowering, Scorer


def return_bits(network: nn.Cell, scorer: Scorer, sizes: CostModel, targets: Targets) -> None:
    """Give a network the bits that its targets leave, one to a quantizer at most.

    The score of a bit is what taking it would cost in the network that has them all.

    Args:
        network: quantized network that meets its targets; it is changed.
        scorer: score that adds up.
        sizes: cost model of the layers.
        targets: costs that the network may have.
    """
    before = Lowering(get_bits(network), np.array([q.clip.asnumpy()[0] for q in quantizers(network, ACTIVATIONS)]))
    raised = np.minimum(before.bits + 1, MAX_BITS)
    scorer.plan(network, raised).apply(network, raised)
    table = scorer.table(network, scorer.plan(network, before.bits))
    before.apply(network, chosen(table, sizes, before.bits, targets))


def chosen(scores: np.ndarray, sizes: CostModel, bits: np.ndarray, targets: Targets) -> np.ndarray:
    """Bits (L, 2) with one more where there is room, the highest score for what it costs first.

    Args:
        scores: score of one bit more for each quantizer, (L, 2).
        sizes: cost model of the layers.
        bits: bits that meet the targets, (L, 2).
        targets: costs that the result may have.
    """
    each = np.eye(bits.size, dtype=int).reshape(-1, *bits.shape)
    costs = sum(
        (cost(bits + each) - cost(bits)) / cost(bits)
        for cost, target in ((sizes.storage, targets.storage), (sizes.compute, targets.compute))
        if target is not None
    )
    after = bits.copy()
    for index in np.argsort(-scores.ravel() / np.maximum(costs, np.finfo(float).tiny), kind="stable"):
        more = after + each[index]
        if more.max() <= MAX_BITS and scores.ravel()[index] > 0 and targets.met(sizes, more):
            after = more
    return after
