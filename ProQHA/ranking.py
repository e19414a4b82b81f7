"""Rank correlation of scores with the true cost of lowering single quantizers, by trying all of them.

For each quantizer alone: the increase of the loss on training images that the scores do not see, and each score.
Measured are Spearman's rank correlations; a random order has 0 on average, its spread is given beside. "halves" is that
of the increases on one half of these images with those on the other: how far they repeat themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from common.evaluation import score
from common.models.registry import model
from common.quant.calibration import image_batches
from common.quant.dorefa import MIN_BITS
from ProQHA.fisher import FisherScorer
from ProQHA.quant import get_bits
from ProQHA.scores import AdamScorer, Lowering, OneByOne
from ProQHA.start import StartOptions, start_quantized

Batches = list[tuple[np.ndarray, np.ndarray]]
_BATCH = 128
_RANDOM_ORDERS = 1000


@dataclass(frozen=True)
class RankOptions:
    """Network, images and steps of a ranking.

    Attributes:
        start: network whose quantizers are lowered.
        interval: number of bits that each loses.
        score_images: number of training images that the scores see.
        loss_images: number of further ones that the true loss is measured on.
        lr: learning rate of the step of ``adam``.
        grad_clip_norm: limit of the gradient's norm in that step; None for none.
    """

    start: StartOptions
    interval: int
    score_images: int
    loss_images: int
    lr: float
    grad_clip_norm: float | None


class TrueLoss(OneByOne):
    """The loss itself in the place of a score, one of each of several sets of batches of images and labels."""

    def __init__(self, images: np.ndarray, sets: Sequence[Batches]):
        super().__init__(images)
        self.sets = sets

    def one(self, network: nn.Cell) -> np.ndarray:
        return np.array([loss(network, parts) for parts in self.sets])


def batches(source: ImageSource, preprocessing: Preprocessing, seed: int) -> Batches:
    """Augmented training images (N, 3, H, W) and their labels (N,)."""
    labels = np.array_split(source.labels, range(_BATCH, len(source), _BATCH))
    return list(zip(image_batches(source, preprocessing, seed, _BATCH), labels))


def loss(network: nn.Cell, parts: Batches) -> float:
    """Mean loss over batches of images and labels, in nats."""
    network.set_train(False)
    sums = [score(network(Tensor(images)).asnumpy(), labels)[2] for images, labels in parts]
    return sum(sums) / sum(len(labels) for _, labels in parts)


def singles(bits: np.ndarray, lowered: np.ndarray) -> list[np.ndarray]:
    """One candidate (L, 2) per quantizer that can be lowered: it alone."""
    candidates = []
    for layer, column in np.argwhere(lowered < bits):
        candidate = bits.copy()
        candidate[layer, column] = lowered[layer, column]
        candidates.append(candidate)
    return candidates


def measure(options: RankOptions, source: ImageSource, preprocessing: Preprocessing) -> dict[str, Any]:
    """True increases, scores and correlations.

    Args:
        options: network, images and steps.
        source: training images.
        preprocessing: preprocessing of the network.

    Raises:
        ConfigError: no quantizer can be lowered, or no images are left for the loss.
    """
    network, config = start_quantized(options.start, source, preprocessing)
    seed = options.start.seed
    batch, rest = _divided(options, source)
    images = batch.train_batch(np.arange(len(batch)), preprocessing, seed, 0)
    bits = get_bits(network)
    lowered = np.maximum(bits - options.interval, MIN_BITS)
    if np.array_equal(lowered, bits):
        raise ConfigError("interval: expected quantizers of more than 2 bits to lower, found none; raise --bits")
    twin = model(options.start.arch).build(source.num_classes)
    fisher = FisherScorer(twin, config, images, batch.labels)
    lowering, candidates = fisher.plan(network, lowered), singles(bits, lowered)
    halves = [batches(rest.take(np.arange(i, len(rest), 2)), preprocessing, seed) for i in (0, 1)]
    before, increases = _true_increases(TrueLoss(images, halves), network, lowering, candidates)
    adam = AdamScorer(network, images, batch.labels, options.lr, options.grad_clip_norm)
    scores = {name: scorer(network, lowering, candidates) for name, scorer in {"fisher": fisher, "adam": adam}.items()}
    true = increases.mean(0)
    ranks = correlations(increases, scores)
    return {"correlation": ranks, "true": true, "scores": scores, "loss": before, "images": len(rest)}


def _divided(options: RankOptions, source: ImageSource) -> tuple[ImageSource, ImageSource]:
    """The images of the scores and those of the loss."""
    left = len(source) - options.score_images
    if left < 2:
        most, given = len(source) - 2, options.score_images
        raise ConfigError(f"score_images: expected at most {most}, which leave 2 for the loss, found {given}")
    order = source.sample(options.score_images + min(options.loss_images, left), options.start.seed)
    return order.head(options.score_images), order.take(np.arange(options.score_images, len(order)))


def _true_increases(
    real: TrueLoss, network: nn.Cell, lowering: Lowering, candidates: Sequence[np.ndarray]
) -> tuple[float, np.ndarray]:
    """Mean loss before, and increases (2, K) on each half of the images."""
    before = real.one(network)
    return float(before.mean()), (real(network, lowering, candidates) - before).T


def correlations(increases: np.ndarray, scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Rank correlations of scores (K,), and of random orders, with the mean of increases (2, K); "halves" of both."""
    from scipy.stats import spearmanr  # takes a second, which the other scripts need not wait

    true = increases.mean(0)
    ranks = {name: float(spearmanr(values, true)[0]) for name, values in scores.items()}
    random = [spearmanr(np.random.default_rng(i).permutation(len(true)), true)[0] for i in range(_RANDOM_ORDERS)]
    ranks |= {"random": float(np.mean(random)), "random_spread": float(np.std(random))}
    return {**ranks, "halves": float(spearmanr(*increases)[0])}
