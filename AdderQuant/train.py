"""Train a float AdderNet from scratch; a run that was killed continues when the command is given again."""

from argparse import BooleanOptionalAction
from pathlib import Path

from AdderQuant import storage
from AdderQuant.dataset import preprocessing_of
from AdderQuant.network import ARCHITECTURES
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.training_options import add_test_every
from common.data import open_split
from common.evaluation import evaluator
from common.models.registry import model
from common.runtime import context
from common.training import Trainer
from common.training.schedules import Schedule
from common.training.step import Recipe


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("Train a float AdderNet.", Path(__file__).parent / "config" / "train.yaml", False)
    group = parser.add_argument_group("training")
    group.add_argument("--network", choices=list(ARCHITECTURES), default="resnet20", help="to train")
    group.add_argument("--epochs", type=config.positive_int, default=40, help="passes over the training images")
    add_test_every(group)
    group.add_argument("--lr", type=config.positive_float, default=0.1, help="first learning rate, cosine to 0")
    group.add_argument("--momentum", type=config.share, default=0.9, help="of SGD")
    group.add_argument("--weight_decay", type=config.nonnegative_float, default=5e-4, help="L2 penalty")
    group.add_argument("--resume", action=BooleanOptionalAction, default=True, help="continue a run in output_dir")
    return parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    train, test = open_split(args, "train"), open_split(args, "test")
    preprocessing = preprocessing_of(args.dataset, {})
    name = ARCHITECTURES[args.network]
    network = model(name).build(train.num_classes)
    metadata = {"kind": "float", "network": name, "num_classes": train.num_classes, "dataset": args.dataset}

    schedule = Schedule("cosine", args.lr)
    recipe = Recipe(args.epochs, args.batch_size, schedule, "sgd", args.momentum, args.weight_decay, seed=args.seed)
    measure = evaluator(test, preprocessing, args.batch_size)
    settled = (network, train, preprocessing, recipe, args.output_dir, metadata, measure)
    trainer = Trainer(*settled, test_every=args.test_every)
    history = trainer.run(args.resume)
    config.save(args, args.output_dir)
    path = args.output_dir / f"{name}_{args.dataset}.ckpt"
    record = {"epochs": args.epochs, "seed": args.seed, "test_acc": history[-1]["test_acc"]}
    storage.save(path, network, {**trainer.metadata, "training": record})
    print(f"{path}: test accuracy {history[-1]['test_acc']:.4f} on {len(test)} images")


if __name__ == "__main__":
    main()
