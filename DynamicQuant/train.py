"""Train a network whose layers choose their bits for each image, or the static one it is compared with.

The run lives in OUTPUT_DIR/EXPR_NAME; a run that was killed goes on when the command is given again.
"""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.training_options import add_run, add_training, recipe_of
from common.data import ImageSource, Preprocessing, open_split
from common.errors import ConfigError
from common.evaluation import evaluator
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.float_network import load_float
from common.stored.network import StoredNetwork
from common.training import Trainer
from DynamicQuant import storage
from DynamicQuant.budget import BUDGETS, BudgetLoss, NoiseDecay
from DynamicQuant.convert import calibrate, inner_layers, quantize_network
from DynamicQuant.frozen import config_of, continued
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.options import add_options, check_classes, model_name
from DynamicQuant.quant_config import QUANTIZERS, QuantConfig
from DynamicQuant.tester import DynamicTester

_CALIBRATION_IMAGES = 512
_BATCH = 128  # of calibration


def make_parser() -> config.OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Train with DynamicQuant.", Path(__file__).parent / "config" / "train.yaml", False)
    add_options(parser)
    add_run(parser, "dynamic")
    add_training(parser, epochs=110, schedule="multistep", milestones=(30, 60, 85, 95), warmup_epochs=5)
    _add_quantization(parser.add_argument_group("quantization"))
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--bits", type=int, default=4, help="target t, 3 to 7; candidates are t - 1, t, t + 1")
    group.add_argument("--quantizer", choices=QUANTIZERS, default="dorefa", help="pact learns the clips")
    group.add_argument("--float", action="store_true", help="no bits at all: a float network to start others from")
    group.add_argument("--static", action="store_true", help="t bits everywhere, 2 to 8: what to compare with")
    group.add_argument("--budget", choices=list(BUDGETS), default="bitflops", help="what the penalty limits")
    weights = ", ".join(f"{weight:g} for {name}" for name, weight in BUDGETS.items())
    group.add_argument("--alpha", type=config.positive_float, help=f"weight of the penalty; {weights}")
    group.add_argument("--temperature", type=config.positive_float, default=1.0, help="of the Gumbel-softmax")
    lead = "by how much t bits lead in the controller's first scores; 0: all candidates are equal, as in the paper"
    group.add_argument("--preference", type=config.nonnegative_float, default=2.0, help=lead)
    decay = "share of the epochs after which the noise of choices is gone; 0 keeps it, as in the paper"
    group.add_argument("--noise_decay", type=config.share, default=0.5, metavar="SHARE", help=decay)
    clip = "first clip of activations: a number (the papers: 1 for dorefa, 10 for pact), or calibrate on images"
    kind = config.positive_float_or("calibrate")
    group.add_argument("--clip", type=kind, default="calibrate", metavar="NUMBER|calibrate", help=clip)


def start(
    args: Namespace, settings: QuantConfig | None, train: ImageSource, preprocessing: Preprocessing
) -> tuple[nn.Cell, str]:
    """The network to train, float without settings, and a fingerprint of what it starts from; empty without a file.

    Raises:
        ConfigError: options that contradict each other.
        CheckpointError: a file that is not what its option asks for.
    """
    name = model_name(args)
    if args.resume and args.pretrained:
        raise ConfigError("expected one start, found both --pretrained and --resume; give one of them")
    if args.resume and args.float:
        raise ConfigError("resume: it starts from a quantized network; leave out --float, or give --pretrained FILE")
    if args.resume:
        stored = storage.load_latent(args.resume, name)
        check_classes(train, stored.metadata["num_classes"])
        return continued(stored, settings, args.resume, args.seed), network_state.digest(stored.network)
    if settings and not args.pretrained and (args.dataset, name) == ("digits", "ResNet20"):
        args.pretrained = storage.shipped("digits", "float")
    if not args.pretrained:
        network, digest = model(name).build(train.num_classes), ""
    else:
        stored = load_float(args.pretrained, name)
        check_classes(train, stored.metadata["num_classes"])
        network, digest = stored.network, network_state.digest(stored.network)
    if settings is None:
        return network, digest
    clips = first_clips(args, settings, network, train, preprocessing)
    return quantize_network(network, settings, clips, seed=args.seed), digest


def first_clips(
    args: Namespace, settings: QuantConfig, network: nn.Cell, train: ImageSource, preprocessing: Preprocessing
) -> dict[str, float]:
    """The clips that the activations of a float network start from, by layer."""
    if args.clip != "calibrate":
        return dict.fromkeys(inner_layers(network), args.clip)
    images = train.sample(min(_CALIBRATION_IMAGES, len(train)), args.seed)
    parts = np.array_split(np.arange(len(images)), -(-len(images) // _BATCH))
    return calibrate(network, (images.train_batch(p, preprocessing, args.seed, 0) for p in parts), settings.bits)


def describe(args: Namespace, settings: QuantConfig | None, classes: int, digest: str) -> dict:
    """Metadata of the run's checkpoints; the digest makes runs from different starts different runs."""
    kind = "latent" if settings else "float"
    found = {"method": storage.METHOD, "kind": kind, "network": model_name(args), "num_classes": classes}
    found |= {"dataset": args.dataset, "start": digest}
    if settings is None:
        return found
    found |= {"settings": asdict(settings)}
    found |= {} if args.resume else {"clip": args.clip}
    return found if settings.static else {**found, "budget": [args.budget, penalty_weight(args), args.noise_decay]}


def penalty_weight(args: Namespace) -> float:
    """Weight of the budget's penalty in the loss."""
    return args.alpha or BUDGETS[args.budget]


def finish(trainer: Trainer, stored: StoredNetwork, path: Path, samples: int) -> None:
    """Write the network to use, and say what it is."""
    last, settings, bias = trainer.history[-1], config_of(stored), None
    metadata = {**trainer.metadata, "epochs": len(trainer.history)}
    label = "float" if settings is None else f"static {settings.bits} bits"
    if isinstance(trainer.test, DynamicTester):
        trainer.test.prepare(stored.network)
        bias = trainer.test.bias()
        label = f"dynamic, {last['test_bits']:.3f} bits, {last['test_of_static']:.4f} of the static bit operations"
    if settings is None:
        checkpoint.save(path, network_state.state(stored.network), metadata)
    else:
        changed = {} if bias is None else {"controller.last.bias": bias}
        storage.save_packed(path, StoredNetwork(stored.network, metadata), changed)
    size = path.stat().st_size
    print(f"{path}: {label}, test accuracy {last['test_acc']:.4f} on {samples} images, {size} bytes")


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    model(model_name(args), args.dataset)
    preprocessing = preprocessing_of(args.dataset, {})
    settings = None
    if not args.float:
        settings = QuantConfig(
            args.bits, args.quantizer, args.static, preprocessing.image_size, args.temperature, args.preference
        )
    recipe = recipe_of(args)
    train, test = open_split(args, "train"), open_split(args, "test")
    check_classes(test, train.num_classes)
    network, digest = start(args, settings, train, preprocessing)
    stored = StoredNetwork(network, describe(args, settings, train.num_classes, digest))
    measure, objective, observer = evaluator(test, preprocessing, recipe.batch_size), None, None
    if isinstance(network, DynamicNetwork):
        measure = DynamicTester(stored, train, test, preprocessing, recipe.batch_size, args.budget, args.seed)
        objective = BudgetLoss(network, measure.costs, measure.limit, penalty_weight(args), recipe.label_smoothing)
        observer = NoiseDecay(network, args.noise_decay * args.epochs)
    folder = args.output_dir / args.expr_name
    settled = (network, train, preprocessing, recipe, folder, stored.metadata, measure, observer, "--no-continue")
    trainer = Trainer(*settled, objective, args.test_every)
    trainer.run(args.go_on)
    config.save(args, folder)
    finish(trainer, stored, folder / f"{args.expr_name}.ckpt", len(test))


if __name__ == "__main__":
    main()
