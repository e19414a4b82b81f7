"""The parsers of ProQHA's scripts; the aliases are the names in the original release's documentation."""

from argparse import _ActionsContainer
from pathlib import Path

from common.cli import config, typed
from common.cli.distillation import add_distillation
from common.cli.network_options import add_num_classes
from common.cli.option_parser import OptionParser
from common.cli.training_options import (
    add_continue,
    add_epochs,
    add_init_from,
    add_new_head,
    add_pretrained,
    add_run_name,
    add_tensorboard,
)
from common.cli.validation import add_validation, add_validation_images
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.training.schedules import KINDS
from ProQHA.network import DEFAULT, IMAGENET, SMALL_IMAGES
from ProQHA.options import CLIP_LIMIT
from ProQHA.scores import SCORES

_CONFIG = Path(__file__).parent / "config"
_BITS = typed.int_range(MIN_BITS, MAX_BITS)


def add_network(parser: OptionParser) -> None:
    """The options that all scripts of this method share."""
    known = ", ".join(dict.fromkeys([*SMALL_IMAGES, *IMAGENET]))
    group = parser.add_argument_group("network and data of ProQHA")
    group.add_argument("--arch", default=DEFAULT, help=f"network: {known}; or resnet, vgg, densenet with --num_layers")
    layers = "number of layers, where --arch does not name it"
    group.add_argument("--num_layers", type=typed.positive_int, metavar="N", help=layers)
    for alias, option in {"--data_dir": "--dataset_path", "--job_dir": "--output_dir"}.items():
        parser.add_alias(alias, option)


def eval_parser(description: str = "Evaluate a float network, or one whose bits were searched or set.") -> OptionParser:
    """Options of ``eval.py``."""
    parser = config.build_parser(description, _CONFIG / "eval.yaml")
    add_network(parser)
    add_num_classes(parser)
    return parser


def train_parser() -> OptionParser:
    """Options of ``train.py``."""
    parser = config.build_parser(
        "Train a float network, or a quantized one with fixed bits.", _CONFIG / "train.yaml", evaluates=False
    )
    add_network(parser)
    _add_run(parser, "go on with this run if it was stopped; --no-continue starts it anew")
    parser.add_argument(
        "--archtype",
        choices=["origin", "quant"],
        default="origin",
        help="origin trains a float network, quant a quantized one",
    )
    group = parser.add_argument_group("training")
    add_new_head(group)
    add_epochs(group, 300)
    add_validation(group)
    add_distillation(group)
    add_tensorboard(group)
    _add_step(group)
    group.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="optimizer; sgd has momentum 0.9")
    schedule = "schedule of the learning rate; multistep divides it by 10 after 50 and 75 %% of the epochs"
    group.add_argument("--schedule", choices=list(KINDS), default="multistep", help=schedule)
    warmup = "epochs of linear warm-up of the learning rate"
    group.add_argument("--warmup_epochs", type=typed.nonnegative_float, default=0, help=warmup)
    group = parser.add_argument_group("quantized network that starts from a float one")
    _add_mixed_bits(group)
    _add_activation_clip(group)
    _add_bias_correction(group, "at the start")
    parser.add_alias("--train_epochs", "--epochs")
    _add_aliases(parser)
    return parser


def search_parser() -> OptionParser:
    """Options of ``search.py``."""
    parser = config.build_parser("Search the bits of each layer with ProQHA.", _CONFIG / "search.yaml", evaluates=False)
    add_network(parser)
    _add_run(parser, "go on with this search if it was stopped; --no-continue starts it anew")
    group = parser.add_argument_group("search")
    group.add_argument("--step", type=typed.positive_int, default=25, help="number of steps, at most")
    drawn = "number of random candidates in a step; 0 takes the best of all possible ones"
    group.add_argument("--lam", type=typed.int_range(0), default=500, help=drawn)
    lowered = "share of the quantizers that a candidate lowers, above 0 to 1"
    group.add_argument("--ratio", type=typed.fraction, default=0.5, help=lowered)
    interval = "number of bits that a lowered quantizer loses, 1 to 6"
    group.add_argument("--interval", type=typed.int_range(1, 6), default=1, help=interval)
    group.add_argument("--floor", type=_BITS, default=2, help="least bits of a quantizer, 2 to 8")
    of_weights = "least bits of weights, at least --floor; default: --floor"
    group.add_argument("--weight_floor", type=_BITS, help=of_weights)
    back = "give back at the end, a bit to a quantizer, what --cost and --compute_cost leave room for"
    group.add_argument("--return_bits", action="store_true", help=back)
    score = "score that candidates are chosen by: Fisher form, one step of Adam, or accuracy"
    group.add_argument("--score", choices=SCORES, default="fisher", help=score)
    _add_score_images(group)
    pseudo = "score by the classes that the network chooses at the beginning; labels are not read"
    group.add_argument("--pseudo_labels", action="store_true", help=pseudo)
    held_out = "number of training images that --score acc measures on and training does not see, beside --validation"
    group.add_argument("--held_out", type=typed.positive_int, default=1000, help=held_out)
    storage = "weight storage to stop at, relative to float weights; 4 bits are 0.125; no target if not given"
    group.add_argument("--cost", type=typed.positive_float, help=storage)
    compute = "bit operations to stop at, relative to float; 4 x 4 bits are 0.015625; no target if not given"
    group.add_argument("--compute_cost", type=typed.positive_float, help=compute)
    group = parser.add_argument_group("training")
    epochs = "training epochs after each step; 0 for none"
    group.add_argument("--search_epochs", type=typed.int_range(0), default=30, help=epochs)
    add_validation_images(group)
    _add_step(group)
    group = parser.add_argument_group("quantized network that starts from a float one")
    _add_bits(group)
    _add_activation_clip(group)
    _add_bias_correction(group, "after each step")
    _add_aliases(parser)
    return parser


def correlation_parser() -> OptionParser:
    """Options of ``correlation.py``."""
    parser = config.build_parser("Rank correlation of scores with true increases of the loss.", _CONFIG / "search.yaml")
    add_network(parser)
    _add_starts(parser.add_argument_group("start"))
    group = parser.add_argument_group("scores")
    group.add_argument(
        "--interval", type=typed.int_range(1, 6), default=1, help="number of bits that a quantizer loses, 1 to 6"
    )
    _add_score_images(group)
    unseen = "number of further training images that the true loss is measured on"
    group.add_argument("--loss_images", type=typed.int_range(2), default=2000, metavar="N", help=unseen)
    _add_step(group)
    _add_bits(group)
    _add_activation_clip(group)
    _add_aliases(parser)
    return parser


def measure_parser() -> OptionParser:
    """Options of ``measure.py``."""
    parser = config.build_parser("Measure the cost of a network with given bits.", _CONFIG / "measure.yaml")
    add_network(parser)
    group = parser.add_argument_group("bits")
    every = "bits of the weights and of the input of each layer in turn, 2 to 8 each"
    group.add_argument("--layer_bits", type=_BITS, nargs="+", metavar="B", help=every)
    _add_mixed_bits(group)
    parser.add_alias("--k_bits", "--bits")
    return parser


def _add_run(parser: OptionParser, again: str) -> None:
    group = parser.add_argument_group("run")
    add_run_name(group, "proqha")
    parser.add_alias("--mission", "--run_name")
    _add_starts(group)
    add_continue(group, again)


def _add_starts(group: _ActionsContainer) -> None:
    add_pretrained(group)
    add_init_from(group, "latent network to start from (final.ckpt, search.ckpt)")
    either = "network to start from, float or latent"
    group.add_argument("--resume", type=typed.checkpoint, metavar="FILE|NAME", help=either)


def _add_score_images(group: _ActionsContainer) -> None:
    batch = "number of training images that candidates are scored on"
    group.add_argument("--score_images", type=typed.positive_int, default=512, metavar="N", help=batch)


def _add_step(group: _ActionsContainer) -> None:
    group.add_argument("--lr", type=typed.positive_float, default=1e-3, help="learning rate of the first step")
    group.add_argument("--weight_decay", type=typed.nonnegative_float, default=1e-4, help="weight of the L2 penalty")
    limit = "limit of the gradient's global L2 norm; none if not given"
    group.add_argument("--grad_clip_norm", type=typed.positive_float, metavar="LIMIT", help=limit)
    group.add_argument("--clip", action="store_true", help=f"short for --grad_clip_norm {CLIP_LIMIT:g}")


def _add_bits(group: _ActionsContainer, which: str = "bits of all quantizers at the beginning, 2 to 8") -> None:
    group.add_argument("--bits", type=_BITS, default=8, help=which)


def _add_mixed_bits(group: _ActionsContainer) -> None:
    _add_bits(group, "bits of the first quantizers, as many as --ratio says, 2 to 8")
    group.add_argument("--pre_k_bits", type=_BITS, default=8, help="bits of all other quantizers, 2 to 8")
    planned = "bits of each layer, as python -m lowbitzoo sensitivity plans them, in the place of these"
    group.add_argument("--bits_file", type=typed.path, metavar="FILE", help=planned)
    share = "share of the quantizers that have --bits, above 0 to 1"
    group.add_argument("--ratio", type=typed.fraction, default=1.0, help=share)


def _add_bias_correction(group: _ActionsContainer, when: str) -> None:
    statistics = f"number of training images, unlabelled, by which BatchNorm statistics follow quantization {when}"
    group.add_argument("--bias_correction", type=typed.int_range(0), default=0, metavar="N", help=statistics)


def _add_activation_clip(group: _ActionsContainer) -> None:
    first = "first clip of PACT, > 0 (the paper's is 10), or calibrate: that of least squared error on training images"
    kind = {"type": clip_value, "default": None, "metavar": "A|calibrate"}
    group.add_argument("--activation_clip", **kind, help=first)
    even = "give a float start's filters one size, which its BatchNorms take back: for depthwise layers"
    group.add_argument("--even_filters", action="store_true", help=even)


def _add_aliases(parser: OptionParser) -> None:
    for alias, option in {"--train_batch_size": "--batch_size", "--gpus": "--device_id", "--k_bits": "--bits"}.items():
        parser.add_alias(alias, option)


def clip_value(text: str) -> float | None:
    """Type of ``--activation_clip``: a number over 0, or None for ``calibrate``."""
    value = typed.positive_float_or("calibrate")(text)
    return None if isinstance(value, str) else value
