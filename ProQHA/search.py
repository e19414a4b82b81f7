"""Search bits for every layer's weights and inputs, training between the steps.

The run lives in OUTPUT_DIR/MISSION; a search that was stopped goes on when the command is given again.
"""

from argparse import BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mindspore import nn

from common.checkpoint import network_state
from common.cli import config, saved_config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.run_options import data_selection
from common.data import ImageSource, Preprocessing, open_split
from common.errors import ConfigError
from common.evaluation import evaluator
from common.files.atomic_file import remove_folders
from common.models.registry import model, preprocessing_of
from common.quant.layers import quant_layers
from common.stored.network import StoredNetwork
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer
from ProQHA import storage
from ProQHA.candidates import Moves, Targets
from ProQHA.dataset import add_options, chosen_model
from ProQHA.fisher import FisherScorer
from ProQHA.measure import cost_model
from ProQHA.options import BITS, add_common, clip_norm, set_up
from ProQHA.progressive import STEP_FOLDER, Plan, Progressive
from ProQHA.quant import get_bits
from ProQHA.scores import SCORES, AccuracyScorer, AdamScorer, Scorer
from ProQHA.start import start_quantized

# Beside the plan, what a search that is continued must be given again.
_DECISIVE = ("score", "score_images", "held_out", "search_epochs", "batch_size", "lr", "weight_decay", "clip")


def make_parser() -> OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Search bits with ProQHA.", Path(__file__).parent / "config" / "search.yaml", False)
    add_options(parser)
    add_common(parser)
    parser.add_argument(
        "--resume", type=typed.checkpoint, metavar="FILE|NAME", help="network to start from, float or quantized"
    )
    again = "go on with a search of this name that was stopped; --no-continue starts it anew"
    parser.add_argument("--continue", dest="go_on", action=BooleanOptionalAction, default=True, help=again)
    group = parser.add_argument_group("search")
    group.add_argument("--step", type=typed.positive_int, default=25, help="steps at most")
    group.add_argument("--lam", type=typed.int_range(0), default=500, help="candidates of a step; 0: the best of all")
    group.add_argument("--ratio", type=typed.fraction, default=0.5, help="of the quantizers that a candidate lowers")
    group.add_argument("--interval", type=typed.int_range(1, 6), default=1, help="bits that they lose")
    group.add_argument("--floor", type=BITS, default=2, help="least bits of a quantizer")
    group.add_argument("--k_bits", type=BITS, default=8, help="of all quantizers to begin with, from a float network")
    group.add_argument("--score", choices=SCORES, default="fisher", help="what a candidate is chosen by")
    group.add_argument("--score_images", type=typed.positive_int, default=512, help="of a step's scoring batch")
    group.add_argument("--held_out", type=typed.positive_int, default=1000, help="training images for --score acc")
    group.add_argument("--search_epochs", type=typed.int_range(0), default=30, help="epochs of training after a step")
    group.add_argument("--cost", type=typed.positive_float, help="weight storage to stop at; 4 bits are 0.125")
    group.add_argument("--compute_cost", type=typed.positive_float, help="bit operations; 4 x 4 bits are 0.015625")
    return parser


class FineTuner:
    """Trains the network after each step, from the same compiled training step.

    Args:
        args: the options.
        network: quantized.
        source: training images.
        preprocessing: of the network.
        test: of the log.
        metadata: of the network.
    """

    def __init__(
        self,
        args: Namespace,
        network: nn.Cell,
        source: ImageSource,
        preprocessing: Preprocessing,
        test: ImageSource,
        metadata: dict,
    ):
        self.network, self.measure = network, evaluator(test, preprocessing, args.batch_size)
        self.folder, self.metadata, self.trainer = args.output_dir / args.mission, metadata, None
        if args.search_epochs:
            rest = {"weight_decay": args.weight_decay, "grad_clip_norm": clip_norm(args), "seed": args.seed}
            training = TrainConfig(args.search_epochs, args.batch_size, Schedule("cosine", args.lr), "adam", **rest)
            data, run = TrainData(source, preprocessing), Run(self.folder, metadata)
            self.trainer = Trainer(network=network, data=data, config=training, run=run)

    def __call__(self, step: int) -> dict:
        found = {}
        if self.trainer and step:
            folder = self.folder / f"{STEP_FOLDER}{step:02d}"
            self.trainer.reset(folder, {**self.metadata, "step": step, "bits": get_bits(self.network).tolist()})
            found["acc"] = self.trainer.run()[-1]["acc"]
            remove_folders([folder])
        return {**found, "test_acc": self.measure(self.network).result()["acc"]}


def make_scorer(
    args: Namespace, network: nn.Cell, source: ImageSource, held_out: ImageSource | None, preprocessing: Preprocessing
) -> Scorer:
    """The score that the options name, on a seeded batch of training images."""
    batch = source.sample(min(args.score_images, len(source)), args.seed)
    images = batch.train_batch(np.arange(len(batch)), preprocessing, args.seed, 0)
    if held_out is not None:
        return AccuracyScorer(images, held_out, preprocessing, args.batch_size)
    if args.score == "adam":
        return AdamScorer(network, images, batch.labels, args.lr, clip_norm(args))
    name, settings = chosen_model(args), storage.Settings(signed=_signed(network))
    return FisherScorer(model(name).build(source.num_classes), settings, images, batch.labels)


def _signed(network: nn.Cell) -> tuple[str, ...]:
    return tuple(name for name, layer in quant_layers(network).items() if layer.quantize_input.signed)


def split(args: Namespace, source: ImageSource) -> tuple[ImageSource, ImageSource | None]:
    """Images to train with and, for ``--score acc``, those that are kept from it.

    Raises:
        ConfigError: nothing would be left to train with.
    """
    if args.score != "acc":
        return source, None
    if args.held_out >= len(source):
        raise ConfigError(f"held_out: expected less than the {len(source)} training images, found {args.held_out}")
    order = np.random.default_rng(args.seed).permutation(len(source))
    return source.take(order[args.held_out :]), source.take(order[: args.held_out])


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Search to the end, then write the network to use beside the search's own files."""
    args = config.parse(make_parser(), argv)
    set_up(args)
    name = chosen_model(args)
    model(name, args.dataset)
    targets, moves = Targets(args.cost, args.compute_cost, args.floor), Moves(args.ratio, args.interval)
    plan = Plan(args.step, args.lam, targets, moves, args.seed)
    train, held_out = split(args, open_split(data_selection(args), "train"))
    test, preprocessing = open_split(data_selection(args), "test"), preprocessing_of(args.dataset, {})
    network, settings = start_quantized(args, train, preprocessing, (args.k_bits, args.k_bits, 1.0))
    metadata = {"method": storage.METHOD, "kind": "latent", "network": name, "num_classes": train.num_classes}
    metadata |= {"dataset": args.dataset, "settings": asdict(settings)}
    metadata |= {"start": network_state.digest(network), "preprocessing": preprocessing.to_dict()}
    metadata |= {"options": {option: getattr(args, option) for option in _DECISIVE}, "train_images": len(train)}
    metadata |= {"labels": train.labels_digest()}
    sizes = cost_model(network, preprocessing.image_size)
    scorer = make_scorer(args, network, train, held_out, preprocessing)
    tuner = FineTuner(args, network, train, preprocessing, test, metadata)
    folder = args.output_dir / args.mission
    search = Progressive(network, sizes, plan, scorer, tuner, folder, metadata)
    records = search.run(args.go_on)
    saved_config.save(saved_config.as_dict(args), folder)
    finish(search, records, len(test))


def finish(search: Progressive, records: list[dict], images: int) -> None:
    """Write the network to use, and say what it is."""
    path, last = search.folder / f"{search.folder.name}.ckpt", records[-1]
    storage.save_packed(path, StoredNetwork(search.network, {**search.metadata, "steps": last["step"]}))
    bits = f"W{last['average_weight_bits']:.3f} A{last['average_activation_bits']:.3f}"
    print(
        f"{path}: {bits}, cost {last['cost']:.4f}, compute cost {last['compute_cost']:.6f} after {last['step']} steps, "
        f"test accuracy {last['test_acc']:.4f} on {images} images, {path.stat().st_size} bytes"
    )
    targets = search.plan.targets
    for option, found, target in (
        ("cost", last["cost"], targets.storage),
        ("compute_cost", last["compute_cost"], targets.compute),
    ):
        if target is not None and found > target:
            print(f"warning: {option} ended at {found:.6g}, above {target:g}: allow more --step or a lower --floor")


if __name__ == "__main__":
    main()
