"""Train a float network, or quantize one step by step: 4 bits from float, 2 bits from 4.

The run lives in OUTPUT_DIR/EXPR_NAME; a run that was killed goes on when the command is given again.
"""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.training_options import add_run, add_training, recipe_of
from common.data import ImageSource, open_split
from common.errors import ConfigError
from common.evaluation import evaluator
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.float_network import load_float, of_classes
from common.stored.network import StoredNetwork
from common.training import Trainer
from DAMBQ import storage
from DAMBQ.allocation import GRANULARITIES, Allocator, Budget, plot
from DAMBQ.dataset import add_options
from DAMBQ.network import ARCHITECTURES, Settings, calibrate_last, quantize_network
from DAMBQ.tables import MAX_BITS, TABLES

_CALIBRATION_IMAGES = 512


def make_parser() -> config.OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Train with DAMBQ.", Path(__file__).parent / "config" / "train.yaml", False)
    add_options(parser)
    add_run(parser, "dambq")
    add_training(parser, epochs=300, schedule="cosine", milestones=(150, 225), warmup_epochs=0)
    _add_quantization(parser.add_argument_group("quantization"))
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--quantize", action="store_true", help="train a quantized network")
    group.add_argument("--wgt_target", type=float, default=4.0, help="average bits of weights, 0 to 4")
    group.add_argument("--act_target", type=float, default=4.0, help="average bits of activations, 0 to 4")
    group.add_argument("--granularity", choices=GRANULARITIES, default="channel", help="what has bits of its own")
    group.add_argument(
        "--layerwise", type=config.truth, nargs="?", const=True, default=False, metavar="BOOL", help="granularity layer"
    )
    group.add_argument(
        "--shares", type=config.fraction, nargs=2, default=[0.01, 0.3], help="of groups lowered an epoch"
    )
    group.add_argument("--duration", type=config.int_range(0), nargs=2, default=[0, 150], help="epochs of their rise")
    group.add_argument("--table", choices=list(TABLES), help="of the weights' levels: v2, or that of --resume")
    group.add_argument("--clip", type=config.positive_float, help="first clip of activations, 3 if not given")


def settle_granularity(args: Namespace) -> None:
    """Let ``--layerwise``, the earlier code's option, stand for ``--granularity layer``.

    Raises:
        ConfigError: the two contradict each other.
    """
    if args.layerwise and args.granularity == "network":
        raise ConfigError("layerwise: expected it without --granularity network, found both; leave one out")
    if args.layerwise:
        args.granularity = "layer"


def start(args: Namespace, classes: int) -> tuple[nn.Cell, Settings | None]:
    """The network to train and, if it is quantized, its settings.

    Raises:
        ConfigError: options that contradict each other.
        CheckpointError: a file that is not what its option asks for, or of another number of classes than the data.
    """
    name = ARCHITECTURES[args.arch]
    if args.resume and not args.quantize:
        raise ConfigError("resume: it starts from a quantized network; add --quantize, or give --pretrained FILE")
    if args.resume and args.pretrained:
        raise ConfigError("expected one start, found both --pretrained and --resume; give one of them")
    if args.resume:
        stored = storage.load_latent(args.resume, name)
        kept = _kept(args, Settings(**stored.metadata["settings"]))
        return of_classes(args.resume, stored, classes), kept
    if args.quantize and not args.pretrained:
        if (args.dataset, args.arch) != ("digits", "resnet20"):
            raise ConfigError(
                f"quantize: no float {args.arch} is shipped for {args.dataset}; give --pretrained FILE (float) or "
                "--resume FILE (quantized)"
            )
        args.pretrained = storage.shipped("digits", "float")
    if args.pretrained:
        network = of_classes(args.pretrained, load_float(args.pretrained, name), classes)
    else:
        network = model(name).build(classes)
    if not args.quantize:
        return network, None
    given = {"table": args.table, "clip": args.clip}
    settings = Settings(bits=MAX_BITS, **{name: value for name, value in given.items() if value is not None})
    return quantize_network(network, settings), settings


def _kept(args: Namespace, settings: Settings) -> Settings:
    """The settings of a network that is trained further, which options cannot change."""
    if args.table not in (None, settings.table):
        raise ConfigError(f"table: the network of --resume has {settings.table}, found {args.table}; leave it out")
    if args.clip is not None:
        raise ConfigError(f"clip: the network of --resume has clips that it learned, found {args.clip:g}; leave it out")
    return settings


def observe(args: Namespace, network: nn.Cell, image_size: int) -> Allocator:
    """The allocation that the options describe."""
    budget = Budget(args.wgt_target, args.act_target, args.granularity, tuple(args.shares), tuple(args.duration))
    return Allocator(network, budget, image_size)


def describe(args: Namespace, network: nn.Cell, settings: Settings | None, classes: int) -> dict:
    """Metadata of the run's checkpoints; the digest makes runs from different starts different runs."""
    found = {
        "method": storage.METHOD,
        "kind": "latent" if settings else "float",
        "network": ARCHITECTURES[args.arch],
    }
    found |= {"num_classes": classes, "dataset": args.dataset}
    if args.pretrained or args.resume:
        found["start"] = network_state.digest(network)
    if not settings:
        return found
    budget = [args.wgt_target, args.act_target, args.granularity, args.shares, args.duration]
    return {**found, "settings": asdict(settings), "budget": budget}


def finish(trainer: Trainer, folder: Path, name: str, test: ImageSource) -> None:
    """Write the network to use, and say what it is."""
    last, path = trainer.history[-1], folder / f"{name}.ckpt"
    stored = StoredNetwork(trainer.network, {**trainer.metadata, "epochs": len(trainer.history)})
    if trainer.observer is None:
        checkpoint.save(path, network_state.state(trainer.network), stored.metadata)
        print(f"{path}: float, test accuracy {last['test_acc']:.4f} on {len(test)} images")
        return
    storage.save_packed(path, stored)
    plot(trainer.history, list(trainer.observer.layers), folder / "bits.png")
    bits = f"W{last['weights_bits']:.3f} A{last['activations_bits']:.3f}"
    print(f"{path}: {bits}, test accuracy {last['test_acc']:.4f} on {len(test)} images, {path.stat().st_size} bytes")
    if not trainer.observer.finished():
        budget = trainer.observer.budget
        print(
            f"warning: the average bits are above the targets W{budget.weights} A{budget.activations}: "
            "raise --shares or --epochs, or let --duration end earlier"
        )


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    model(ARCHITECTURES[args.arch], args.dataset)
    settle_granularity(args)
    recipe = recipe_of(args)
    train, test = open_split(args, "train"), open_split(args, "test")
    network, settings = start(args, train.num_classes)
    preprocessing = preprocessing_of(args.dataset, {})
    metadata = describe(args, network, settings, train.num_classes)
    if settings and args.pretrained:
        calibrate_last(network, train, preprocessing, _CALIBRATION_IMAGES, args.seed)
    observer = observe(args, network, preprocessing.image_size) if settings else None
    folder = args.output_dir / args.expr_name
    measure = evaluator(test, preprocessing, recipe.batch_size)
    settled = (network, train, preprocessing, recipe, folder, metadata, measure, observer, "--no-continue")
    trainer = Trainer(*settled, test_every=args.test_every)
    trainer.run(args.go_on)
    config.save(args, folder)
    finish(trainer, folder, args.expr_name, test)


if __name__ == "__main__":
    main()
