"""How well scores rank what lowering single quantizers really costs, by trying all of them.

    python correlation.py --resume outputs/float/best.ckpt --k_bits 8 --interval 5 --dataset_path CIFAR10

For each quantizer alone: the increase of the loss on training images that the scores do not see, and each score.
Printed are Spearman's rank correlations; a random order has 0 on average, its spread is printed beside. "halves" is
that of the increases on one half of these images with those on the other: how far they repeat themselves.
"""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn
from scipy.stats import spearmanr

from common import report
from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import data_selection
from common.data import ImageSource, Preprocessing, open_split
from common.errors import ConfigError
from common.evaluation import score
from common.models.registry import model, preprocessing_of
from common.quant.calibration import image_batches
from ProQHA.dataset import add_options, chosen_model
from ProQHA.fisher import FisherScorer
from ProQHA.options import BITS, add_common, clip_norm, set_up
from ProQHA.quant import get_bits
from ProQHA.scores import AdamScorer, OneByOne
from ProQHA.start import start_quantized

Batches = list[tuple[np.ndarray, np.ndarray]]
_RANDOM_ORDERS = 1000


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Rank correlation of scores.", Path(__file__).parent / "config" / "search.yaml")
    add_options(parser)
    add_common(parser)
    parser.add_argument("--resume", type=typed.checkpoint, metavar="FILE|NAME", help="network, float or quantized")
    parser.add_argument("--k_bits", type=BITS, default=8, help="of all quantizers, from a float network")
    parser.add_argument("--interval", type=typed.int_range(1, 6), default=1, help="bits that a quantizer loses")
    parser.add_argument("--score_images", type=typed.positive_int, default=512, help="of the scoring batch")
    parser.add_argument("--loss_images", type=typed.int_range(2), default=2000, help="of the true loss")
    return parser


def batches(source: ImageSource, preprocessing: Preprocessing, seed: int) -> Batches:
    """Augmented training images and their labels."""
    labels = np.array_split(source.labels, range(128, len(source), 128))
    return list(zip(image_batches(source, preprocessing, seed), labels))


def loss(network: nn.Cell, parts: Batches) -> float:
    """Mean loss over batches of images and labels."""
    network.set_train(False)
    sums = [score(network(Tensor(images)).asnumpy(), labels)[2] for images, labels in parts]
    return sum(sums) / sum(len(labels) for _, labels in parts)


def singles(bits: np.ndarray, lowered: np.ndarray) -> list[np.ndarray]:
    """One candidate (L, 2) per quantizer that can be lowered: it alone."""
    found = []
    for layer, column in np.argwhere(lowered < bits):
        candidate = bits.copy()
        candidate[layer, column] = lowered[layer, column]
        found.append(candidate)
    return found


class TrueLoss(OneByOne):
    """The loss itself in the place of a score, one of each of several sets of batches of images and labels."""

    def __init__(self, images: np.ndarray, sets: list[Batches]):
        super().__init__(images)
        self.sets = sets

    def one(self, network: nn.Cell) -> np.ndarray:
        return np.array([loss(network, parts) for parts in self.sets])


def measure(args: Namespace, source: ImageSource, preprocessing: Preprocessing) -> dict:
    """True increases, scores and correlations.

    Raises:
        ConfigError: no quantizer can be lowered, or the scores leave no images for the loss.
    """
    network, settings = start_quantized(args, source, preprocessing, (args.k_bits, args.k_bits, 1.0))
    left = len(source) - args.score_images
    if left < 2:
        most, found = len(source) - 2, args.score_images
        raise ConfigError(f"score_images: expected at most {most}, which leave 2 for the loss, found {found}")
    order = source.sample(args.score_images + min(args.loss_images, left), args.seed)
    batch = order.head(args.score_images)
    rest = order.take(np.arange(args.score_images, len(order)))
    images = batch.train_batch(np.arange(len(batch)), preprocessing, args.seed, 0)
    halves = [batches(rest.take(np.arange(i, len(rest), 2)), preprocessing, args.seed) for i in (0, 1)]
    bits = get_bits(network)
    lowered = np.maximum(bits - args.interval, 2)
    if np.array_equal(lowered, bits):
        raise ConfigError("interval: expected quantizers of more than 2 bits to lower, found none; raise --k_bits")
    own = model(chosen_model(args)).build(source.num_classes)
    fisher = FisherScorer(own, settings, images, batch.labels)
    lowering, candidates = fisher.look(network, lowered), singles(bits, lowered)
    real = TrueLoss(images, halves)
    before = real.one(network)
    increases = (real(network, lowering, candidates) - before).T  # (2, K): on each half of the images
    true = increases.mean(0)
    scorers = {
        "fisher": fisher,
        "adam": AdamScorer(network, images, batch.labels, args.lr, clip_norm(args)),
    }
    scores = {name: scorer(network, lowering, candidates) for name, scorer in scorers.items()}
    random = [spearmanr(np.random.default_rng(i).permutation(len(true)), true)[0] for i in range(_RANDOM_ORDERS)]
    found = {name: float(spearmanr(values, true)[0]) for name, values in scores.items()}
    found |= {"random": float(np.mean(random)), "random_spread": float(np.std(random))}
    found["halves"] = float(spearmanr(*increases)[0])
    return {"correlation": found, "true": true, "scores": scores, "loss": before.mean(), "images": len(rest)}


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = config.parse(make_parser(), argv)
    set_up(args)
    source = open_split(data_selection(args), "train")
    found = measure(args, source, preprocessing_of(args.dataset, {}))
    true = found["true"]
    print(
        f"{len(true)} quantizers lowered by {args.interval} bits, one at a time: loss {found['loss']:.4f} on "
        f"{found['images']} images, increases {true.min():.4f} to {true.max():.4f}"
    )
    print("rank correlation: " + json.dumps({key: round(value, 3) for key, value in found["correlation"].items()}))
    if args.json:
        report.write_json(args.json, found)


if __name__ == "__main__":
    main()
