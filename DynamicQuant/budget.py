r"""The budget of a dynamic network: what its choices cost, the penalty in training, and the exact end.

An image costs, by its one-hot choices m of candidates b in the L dynamic layers,

.. math::
    c_n = \frac{\sum_l M_l \sum_k m_{nlk} b_k^2}{\sum_l M_l t^2} \quad\text{(bitflops)}, \qquad
    c_n = \frac1L \sum_{lk} m_{nlk} b_k \quad\text{(mean-bits)}

with M the layer's multiply-accumulates, and its limit is 1 or t: what the static network of t bits costs.
"""

from collections.abc import Iterable

import numpy as np
from mindspore import Tensor, nn, ops

from common import distributed
from common.distributed.collective import Sum
from common.errors import DataError
from common.training import Callback
from DynamicQuant.convert import set_controller_bias
from DynamicQuant.network import DynamicNetwork, Scores
from DynamicQuant.quant_config import QuantConfig

# Kind of budget: default weight of its penalty. That of mean-bits is the original release's. An image 1 % over its bit
# operations costs 0.01 of bitflops: at 1, ten per cent too many weigh as much as a tenth of cross-entropy.
BUDGETS = {"bitflops": 1.0, "mean-bits": 0.05}
_ERRORS = 2.0  # standard errors of the mean cost that are kept in reserve for images outside of the sample
_STEPS = 40  # of bisection
_REACH = 32.0  # largest shift per bit


def candidate_costs(macs: Iterable[int], config: QuantConfig, budget: str) -> tuple[np.ndarray, float]:
    """Cost (L, K) of every candidate of every dynamic layer, float64, and the limit of their sum over layers.

    Args:
        macs: multiply-accumulates of the dynamic layers.
        config: quantization settings of the network.
        budget: kind of budget, ``bitflops`` or ``mean-bits``.
    """
    macs, bits = np.array(list(macs), float), np.array(config.candidates, float)
    if budget == "mean-bits":
        return np.tile(bits / len(macs), (len(macs), 1)), float(config.bits)
    return macs[:, None] * bits**2 / (macs.sum() * config.bits**2), 1.0


def network_costs(network: DynamicNetwork, config: QuantConfig, budget: str) -> tuple[np.ndarray, float]:
    """Costs (L, K) and limit of a network, see :func:`candidate_costs`."""
    return candidate_costs([network.macs[name] for name in network.dynamic], config, budget)


class BudgetLoss(nn.Cell):
    r"""The task's loss plus :math:`w\,\mathrm{relu}(\bar c - \mathrm{limit})` with c averaged over the batch.

    ``construct(images, goal)``: (B, 3, H, W) and what the task aims at to loss and logits.

    Args:
        network: dynamic network.
        costs: cost of each candidate, (L, K), see :func:`candidate_costs`.
        limit: limit of the mean cost.
        penalty: weight w of the excess over the limit.
        task: what is asked of the logits, see :mod:`common.training.task`.
    """

    def __init__(self, network: DynamicNetwork, costs: np.ndarray, limit: float, penalty: float, task: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network, self.limit, self.penalty = network, limit, penalty
        self.costs, self.sum, self.processes = Tensor(costs.astype(np.float32)), Sum(), distributed.size()
        self.task = task

    def construct(self, images, goal):
        logits, mask = self.network.decide(images)
        mean = self.sum((mask * self.costs).sum()) / (mask.shape[0] * self.processes)
        return self.task(logits, goal) + self.penalty * ops.relu(mean - self.limit), logits


class NoiseDecay(Callback):
    """Takes the noise of the choices to zero, linearly over the first epochs.

    Evaluation chooses without noise. In the epochs after the decay training does so too: weights, BatchNorm and
    penalty then see the choices that will be made.

    Args:
        network: dynamic network; it holds the noise's level, so that a continued run goes on with it.
        epochs: number of epochs after which the noise is zero; 0 keeps it as it is, as the paper does.
    """

    def __init__(self, network: DynamicNetwork, epochs: float):
        super().__init__()
        self.level, self.epochs = network.choose.level, epochs

    def after_epoch(self, epoch: int) -> dict[str, float]:
        """Set the level of the next epoch."""
        if self.epochs:
            level = max(0.0, 1 - (epoch + 1) / self.epochs)
            self.level.set_data(Tensor(np.array([level], np.float32)))
        return {"noise": float(self.level.asnumpy()[0])}


def least_shift(scores: np.ndarray, costs: np.ndarray, bits: np.ndarray, limit: float) -> float:
    r"""The smallest d for which the choices :math:`\arg\max_k z_{nlk} - d\,b_k` cost at most ``limit`` on average.

    Training chooses with noise, evaluation without: the budget that the penalty holds is that of the noisy choices.
    One number for the whole network brings the noise-free ones to it, from above or from below.

    Args:
        scores: controller's scores z, (N, L, K).
        costs: cost of each candidate, (L, K).
        bits: bits of the candidates, (K,), in rising order.
        limit: limit of the mean cost, not below that of the fewest bits.
    """
    low, high = -_REACH, _REACH  # the cost never rises with d
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if image_costs(shifted(scores, bits, middle), costs).mean() <= limit:
            high = middle
        else:
            low = middle
    return high


def shifted(scores: np.ndarray, bits: np.ndarray, shift: float) -> np.ndarray:
    """Scores (N, L, K) with ``shift`` taken off per bit (K,); the mean over candidates stays."""
    return scores - shift * (bits - bits.mean())


def image_costs(scores: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Costs (N,) of the noise-free choices of each image: scores (N, L, K), costs (L, K)."""
    return costs[np.arange(len(costs)), scores.argmax(2)].sum(1)


def fit_budget(
    network: DynamicNetwork, images: Iterable[np.ndarray], costs: np.ndarray, limit: float, config: QuantConfig
) -> float:
    """Shift the controller's last bias so that noise-free choices cost what the budget allows, and no more.

    That is an estimate from a sample: two standard errors of its mean are left, for other images to stay within it too.

    Args:
        network: frozen dynamic network.
        images: batches (N, 3, H, W) that the network was trained on, not augmented.
        costs: cost of each candidate, (L, K).
        limit: limit of the mean cost.
        config: quantization settings of the network.

    Returns:
        The shift per bit.

    Raises:
        DataError: there is no image.
    """
    cell = Scores(network)
    cell.set_train(False)
    parts = [cell(Tensor(batch)).asnumpy() for batch in images]
    if not parts:
        raise DataError("the budget is fitted on training images: give at least one")
    scores, bits = np.concatenate(parts).astype(np.float64), np.array(config.candidates, float)
    spread = image_costs(shifted(scores, bits, least_shift(scores, costs, bits, limit)), costs).std()
    shift = least_shift(scores, costs, bits, limit - _ERRORS * spread / len(scores) ** 0.5)
    bias = network.controller.last.bias.asnumpy().reshape(costs.shape)
    set_controller_bias(network, bias - shift * (bits - bits.mean()))
    return shift
