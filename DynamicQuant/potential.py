"""What there is to gain by choosing bits, and how much of it a controller could know.

    python potential.py --checkpoint_path outputs/dynamic3/dynamic3.ckpt --dataset_path CIFAR10

On training images: the change of the loss when one layer alone takes a bit less or more than t, and what the
straight-through gradient, which trains the controller, says of it. On test images: how much of the change a linear map
of the first stage's output, fitted on the training images, foretells (R^2; the best of several ridge penalties), and
the change of the loss, layers taken as independent, when bits are chosen within the budget of t bits by the layer
alone, by that map, and by the change itself, which only the labels give.
"""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common import report
from common.cli import config, saved_config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import data_selection
from common.data import ImageSource, Preprocessing, open_split
from common.errors import ConfigError
from common.models.registry import model, preprocessing_of
from common.runtime import context
from DynamicQuant import storage
from DynamicQuant.budget import candidate_costs
from DynamicQuant.dataset import add_options, check_classes, model_name
from DynamicQuant.marginals import MIDDLE, Marginals, measure

_RIDGES = (1e2, 1e3, 1e4, 1e5, 1e6)
_STEPS = 60  # of bisection


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("What choices are worth.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--images", type=typed.positive_int, default=2048, help="training images to look at")
    parser.add_argument("--held_out", type=typed.positive_int, default=1024, help="test images to look at")
    return parser


def batches(
    source: ImageSource, count: int, preprocessing: Preprocessing, size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Whole batches of different images, not augmented, and their labels."""
    own = source.sample(min(count, len(source)), seed)
    if len(own) < size:
        raise ConfigError(f"expected a batch_size of at most {len(own)}, the images to look at, found {size}")
    for start in range(0, len(own) - size + 1, size):
        index = np.arange(start, start + size)
        yield own.eval_batch(index, preprocessing), own.labels[index]


def allocate(change: np.ndarray, costs: np.ndarray, limit: float) -> np.ndarray:
    r"""Candidates (N, L) of the least :math:`\sum_{nl} \Delta_{nlk}` whose mean cost is at most the limit.

    :math:`\arg\min_k \Delta_{nlk} + \lambda c_{lk}` with the smallest multiplier that will do.

    Args:
        change: of the loss, (N, L, K), known or foretold.
        costs: (L, K), rising with k.
        limit: of the mean over images of the sum over layers.
    """
    low, high = 0.0, 1e6
    for _ in range(_STEPS):
        middle = (low + high) / 2
        index = (change + middle * costs).argmin(2)
        if costs[np.arange(len(costs)), index].sum(1).mean() <= limit:
            high = middle
        else:
            low = middle
    return (change + high * costs).argmin(2)


def gain(index: np.ndarray, change: np.ndarray) -> float:
    """Mean change of the loss of choices (N, L) if layers do not depend on each other."""
    return float(np.take_along_axis(change, index[:, :, None], 2).sum((1, 2)).mean())


def foretold(known: Marginals, features: np.ndarray, ridge: float) -> np.ndarray:
    """The change (N, L, K) that ridge regression on known images gives for the features (N, F) of others."""
    center, scale = known.features.mean(0), known.features.std(0) + 1e-6
    x, other = (known.features - center) / scale, (features - center) / scale
    mean = known.change.mean(0)
    y = (known.change - mean).reshape(len(x), -1)
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    found = (other @ weights).reshape(-1, *mean.shape) + mean
    found[:, :, MIDDLE] = 0
    return found


def explained(found: np.ndarray, change: np.ndarray, mean: np.ndarray) -> float:
    """R^2 of a foretold change against that of single layers' means (L, K)."""
    return 1 - float(((change - found) ** 2).sum() / ((change - mean) ** 2).sum())


def study(known: Marginals, other: Marginals, costs: np.ndarray, limit: float) -> dict:
    """The figures: of the images that are known, and of others."""
    mean = known.change.mean(0)
    tries = [foretold(known, other.features, ridge) for ridge in _RIDGES]
    best = max(tries, key=lambda found: explained(found, other.change, mean))
    choices = {"by layer": np.broadcast_to(mean, other.change.shape), "by first stage": best, "by labels": other.change}
    others = [k for k in range(known.change.shape[2]) if k != MIDDLE]
    change, gradient = known.change[:, :, others], known.gradient[:, :, others]
    return {
        "images": {"known": len(known.loss), "held out": len(other.loss)},
        "change of the loss": _sides(change),
        "straight-through gradient": _sides(gradient),
        "half its square": _sides(gradient**2 / 2),
        "correlation with the change": float(np.corrcoef(gradient.ravel(), change.ravel())[0, 1]),
        "explained by the first stage": explained(best, other.change, mean),
        "change of the loss by choices": {
            name: gain(allocate(own, costs, limit), other.change) for name, own in choices.items()
        },
    }


def _sides(values: np.ndarray) -> dict[str, float]:
    return {name: float(values[:, :, side].mean()) for side, name in enumerate(("a bit less", "a bit more"))}


def shown(record: dict) -> Iterator[str]:
    """The figures in lines."""
    for name, value in record.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        yield f"{name}: " + ", ".join(f"{key} {own:.4g}".strip() for key, own in parts)


def load(args: Namespace) -> storage.StoredNetwork:
    """The dynamic network of ``checkpoint_path``, its weights quantized once."""
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.frozen(storage.load_dynamic(path, model_name(args)))
    model(stored.metadata["network"], args.dataset)
    return stored


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    stored = load(args)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    found = []
    for split, count in (("train", args.images), ("test", args.held_out)):
        source = open_split(data_selection(args), split)
        check_classes(source, stored.metadata["num_classes"])
        found.append(measure(stored.network, batches(source, count, preprocessing, args.batch_size, args.seed)))
    settings = storage.settings_of(stored)
    macs = [stored.network.macs[name] for name in stored.network.dynamic]
    record = study(*found, *candidate_costs(macs, settings, "bitflops"))
    print(*shown(record), sep="\n")
    if args.json:
        report.write_json(args.json, {**record, "versions": report.versions(), "config": saved_config.as_dict(args)})


if __name__ == "__main__":
    main()
