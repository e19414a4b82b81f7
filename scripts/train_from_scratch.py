"""Train float networks from scratch on CIFAR-10, test them once and record a row of results each; kept if it is there.

python scripts/train_from_scratch.py --dataset_path CIFAR10 --networks resnet20

All training images, the last epoch; no choice was made by the test images. A run that was killed goes on where it was.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from AdderQuant import eval as adder_evaluation
from AdderQuant import train as adder_training
from common.cli import reproduction, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.report import markdown_table
from common.report.results import Results
from LDNQ import eval as evaluation
from LDNQ import train as training

COLUMNS = ("network", "epochs", "batch_size", "lr", "weight_decay", "seed", "data")
RESULTS = Results(Path(__file__).with_suffix(".csv"), COLUMNS)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained and tested: SGD of momentum 0.9, a cosine schedule.

    Attributes:
        training: script that trains it.
        evaluation: script that tests it, with ``words``.
        words: options of the evaluation.
        published: top-1 in percent of the published network of this architecture.
        epochs, batch_size, lr, weight_decay: options of the training.
    """

    training: ModuleType
    evaluation: ModuleType
    words: tuple[str, ...]
    published: float
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float


RECIPES = {
    "resnet20": Recipe(training, evaluation, (), 91.7, 80, 128, 0.1, 5e-4),
    "adder_resnet20": Recipe(adder_training, adder_evaluation, ("--bits", "32"), 91.8, 50, 64, 0.1, 5e-4),
}


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record float networks that are trained from scratch.", "official")
    parser.add_argument("--networks", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="to train")
    epochs = "passes over the training images, in place of the recipe's"
    parser.add_argument("--epochs", type=typed.positive_int, help=epochs)
    parser.add_argument("--seed", type=typed.int_range(0), default=0, help="seed of weights, order and augmentation")
    parser.set_defaults(pretrained=None)
    return parser


def record(args: Namespace, network: str) -> None:
    """Train a network, or go on with it, test it and write its rows, unless they are there."""
    recipe = RECIPES[network]
    epochs = args.epochs or recipe.epochs
    key = {"network": network, "epochs": epochs, "batch_size": recipe.batch_size, "lr": recipe.lr}
    key |= {"weight_decay": recipe.weight_decay, "seed": args.seed}
    if all(RESULTS.has({**key, "data": name}) for name in reproduction.folders_by_name(args)):
        return
    folder = args.output_dir / f"{network}_{epochs}epochs_seed{args.seed}"
    words = ["--arch", network, "--dataset", "cifar10", "--dataset_path", args.dataset_path, "--output_dir", folder]
    for option in ("epochs", "batch_size", "lr", "weight_decay", "seed"):
        words += [f"--{option}", key[option]]
    recipe.training.main([str(word) for word in (*words, *reproduction.thread_words(args))])
    for name, path in reproduction.folders_by_name(args).items():
        made = folder / f"{network}_cifar10.ckpt"
        tested = reproduction.evaluated(recipe.evaluation, args, made, path, *recipe.words)
        row = {**key, "data": name, "samples": tested["samples"], "top1": f"{100 * tested['acc']:.2f}"}
        row |= {"hours": f"{reproduction.hours_of(folder):.2f}"}
        RESULTS.put({**row, "mindspore": tested["versions"]["mindspore"]})


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of the README, published networks beside ours."""
    shown = {"batch_size": "batch", "lr": "rate", "weight_decay": "weight decay", "top1": "top-1 %"}
    columns = (*COLUMNS, "samples", "top1", "hours")
    lines = [{shown.get(name, name): row[name] for name in columns} for row in rows]
    for line in lines:
        line["published"] = f"{RECIPES[line['network']].published}"
    return markdown_table(lines, list(lines[0])) if lines else ""


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train the networks, one after the other."""
    args = reproduction.parse(make_parser(), argv)
    for network in args.networks:
        record(args, network)


if __name__ == "__main__":
    main()
