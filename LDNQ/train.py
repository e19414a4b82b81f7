"""Train a float network to quantize; a run that was killed continues when the command is given again."""

import json
from argparse import BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path

from common import checkpoint
from common.checkpoint import network_state
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.training_options import add_test_every
from common.data import open_split
from common.evaluation import evaluator
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.float_network import load_float, of_classes
from common.training import Trainer
from common.training.schedules import Schedule
from common.training.step import Recipe
from LDNQ import storage
from LDNQ.dataset import add_options


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("Train for LDNQ.", Path(__file__).parent / "config" / "train.yaml", False)
    add_options(parser)
    parser.add_argument("--pretrained", type=config.checkpoint, metavar="FILE|NAME", help="float network to start from")
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=config.positive_int, default=20, help="passes over the training images")
    add_test_every(group)
    group.add_argument("--lr", type=config.positive_float, default=0.1, help="first learning rate, cosine to 0")
    group.add_argument("--momentum", type=config.share, default=0.9, help="of SGD")
    group.add_argument("--weight_decay", type=config.nonnegative_float, default=5e-4, help="L2 penalty")
    help_text = "continue a run in output_dir; with another --lr: train its best network further, in a folder below"
    group.add_argument("--resume", action=BooleanOptionalAction, default=True, help=help_text)
    return parser


def continue_with(args: Namespace, recipe: Recipe) -> None:
    """Where output_dir holds a run of another recipe, turn the options into a run that starts from its best network."""
    last = args.output_dir / "last.ckpt"
    if not args.resume or not last.exists():
        return
    recorded = checkpoint.load(last).metadata.get("run", {}).get("recipe")
    if recorded is not None and recorded != json.loads(json.dumps(asdict(recipe))):
        args.pretrained = args.pretrained or args.output_dir / "best.ckpt"
        args.output_dir = args.output_dir / f"lr_{args.lr:g}"
        print(f"another recipe: training {args.pretrained} further, in {args.output_dir}")


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network's checkpoint beside the run's own files."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    schedule = Schedule("cosine", args.lr)
    recipe = Recipe(args.epochs, args.batch_size, schedule, "sgd", args.momentum, args.weight_decay, seed=args.seed)
    continue_with(args, recipe)
    chosen = model(args.model_name, args.dataset)
    train, test = open_split(args, "train"), open_split(args, "test")
    metadata = {"kind": "float", "network": args.model_name, "num_classes": train.num_classes, "dataset": args.dataset}
    if args.pretrained:
        network = of_classes(args.pretrained, load_float(args.pretrained, args.model_name), train.num_classes)
    else:
        network = chosen.build(train.num_classes)
    preprocessing = preprocessing_of(args.dataset, {})

    metadata = {"method": storage.METHOD, **metadata}
    measure = evaluator(test, preprocessing, args.batch_size)
    settled = (network, train, preprocessing, recipe, args.output_dir, metadata, measure)
    trainer = Trainer(*settled, test_every=args.test_every)
    history = trainer.run(args.resume)
    config.save(args, args.output_dir)
    path = args.output_dir / f"{args.model_name}_{args.dataset}.ckpt"
    about = {**trainer.metadata, "training": {"epochs": args.epochs, "seed": args.seed}}
    checkpoint.save(path, network_state.state(network), about)
    print(f"{path}: test accuracy {history[-1]['test_acc']:.4f} on {len(test)} images")


if __name__ == "__main__":
    main()
