"""Train a float network (``--archtype origin``), or one with the same bits everywhere (``--archtype quant``).

The run lives in OUTPUT_DIR/MISSION; a run that was killed goes on when the command is given again.
"""

from argparse import BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path

from common import checkpoint
from common.checkpoint import network_state
from common.cli import config, saved_config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import data_selection
from common.cli.training import run_or_advise
from common.cli.training_options import add_test_every
from common.data import open_split
from common.evaluation import evaluator
from common.models.registry import model, preprocessing_of
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer
from common.training.schedules import KINDS
from ProQHA import storage
from ProQHA.dataset import add_options, chosen_model
from ProQHA.measure import cost_model
from ProQHA.options import BITS, add_common, clip_norm, set_up
from ProQHA.quant import get_bits
from ProQHA.start import start_float, start_quantized


def make_parser() -> OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Train for ProQHA.", Path(__file__).parent / "config" / "train.yaml", False)
    add_options(parser)
    add_common(parser)
    parser.add_argument("--archtype", choices=["origin", "quant"], default="origin", help="float or quantized")
    parser.add_argument(
        "--resume", type=typed.checkpoint, metavar="FILE|NAME", help="network to start from, float or quantized"
    )
    again = "go on with a run of this name that was stopped; --no-continue starts it anew"
    parser.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=again)
    group = parser.add_argument_group("schedule")
    group.add_argument("--train_epochs", type=typed.positive_int, default=300, help="passes over the training images")
    add_test_every(group)
    group.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="sgd with momentum 0.9, or adam")
    group.add_argument("--schedule", choices=list(KINDS), default="multistep", help="multistep: / 10 at 50 and 75 %%")
    group.add_argument("--warmup_epochs", type=typed.nonnegative_float, default=0, help="epochs of linear warm-up")
    group = parser.add_argument_group("bits of a quantized network that starts from a float one")
    group.add_argument("--k_bits", type=BITS, default=8, help="of the first --ratio of the quantizers")
    group.add_argument("--pre_k_bits", type=BITS, default=8, help="of the others")
    group.add_argument("--ratio", type=typed.fraction, default=1.0, help="of the quantizers that have k_bits")
    return parser


def train_config(args: Namespace) -> TrainConfig:
    """How the options say to train."""
    epochs = args.train_epochs
    milestones = (max(1, epochs // 2), max(2, 3 * epochs // 4))
    schedule = Schedule(args.schedule, args.lr, milestones=milestones, warmup_epochs=args.warmup_epochs)
    rest = {"weight_decay": args.weight_decay, "grad_clip_norm": clip_norm(args), "seed": args.seed}
    return TrainConfig(epochs, args.batch_size, schedule, args.optimizer, **rest)


def finish(trainer: Trainer, folder: Path, name: str, image_size: int, images: int) -> None:
    """Write the network to use, and say what it is."""
    last, path, network = trainer.history[-1], folder / f"{name}.ckpt", trainer.network
    metadata = {**trainer.metadata, "epochs": len(trainer.history)}
    if quant_layers(network):
        storage.save_packed(path, StoredNetwork(network, metadata))
        totals = cost_model(network, image_size).summary(get_bits(network))
        what = (
            f"W{totals['average_weight_bits']:.3f} A{totals['average_activation_bits']:.3f} cost {totals['cost']:.4f}"
        )
    else:
        checkpoint.save(path, network_state.state(network), metadata)
        what = "float"
    size = path.stat().st_size
    print(f"{path}: {what}, test accuracy {last['test_acc']:.4f} on {images} images, {size} bytes")


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    args = config.parse(make_parser(), argv)
    set_up(args)
    name, training = chosen_model(args), train_config(args)
    model(name, args.dataset)
    train, test = open_split(data_selection(args), "train"), open_split(data_selection(args), "test")
    preprocessing = preprocessing_of(args.dataset, {})
    if args.archtype == "quant":
        network, settings = start_quantized(args, train, preprocessing, (args.k_bits, args.pre_k_bits, args.ratio))
    else:
        network, settings = start_float(args, train.num_classes), None
    metadata = {"method": storage.METHOD, "kind": "latent" if settings else "float", "network": name}
    metadata |= {"num_classes": train.num_classes, "dataset": args.dataset}
    if args.resume:
        metadata["start"] = network_state.digest(network)
    if settings:
        metadata["settings"] = asdict(settings)
    folder, measure = args.output_dir / args.mission, evaluator(test, preprocessing, args.batch_size)
    trainer = Trainer(
        network=network,
        data=TrainData(train, preprocessing),
        config=training,
        run=Run(folder, metadata),
        test=measure,
        test_every=args.test_every,
    )
    run_or_advise(trainer, args.go_on)
    saved_config.save(saved_config.as_dict(args), folder)
    finish(trainer, folder, args.mission, preprocessing.image_size, len(test))


if __name__ == "__main__":
    main()
