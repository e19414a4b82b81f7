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
from common.cli import config
from common.cli.entry_point import entry_point
from common.data import ImageSource, Preprocessing, open_split
from common.errors import ConfigError
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.network import StoredNetwork
from DynamicQuant import storage
from DynamicQuant.budget import candidate_costs
from DynamicQuant.frozen import config_of, load_dynamic
from DynamicQuant.gains import study, study_lines
from DynamicQuant.marginals import measure
from DynamicQuant.options import add_options, check_classes, model_name


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("What choices are worth.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--images", type=config.positive_int, default=2048, help="training images to look at")
    parser.add_argument("--held_out", type=config.positive_int, default=1024, help="test images to look at")
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


def load(args: Namespace) -> StoredNetwork:
    """The dynamic network of ``checkpoint_path``, its weights quantized once."""
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = load_dynamic(path, model_name(args))
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
        source = open_split(args, split)
        check_classes(source, stored.metadata["num_classes"])
        found.append(measure(stored.network, batches(source, count, preprocessing, args.batch_size, args.seed)))
    settings = config_of(stored)
    macs = [stored.network.macs[name] for name in stored.network.dynamic]
    record = study(*found, *candidate_costs(macs, settings, "bitflops"))
    print(*study_lines(record), sep="\n")
    if args.json:
        report.write_json(args.json, {**record, "versions": report.versions(), "config": config.as_dict(args)})


if __name__ == "__main__":
    main()
