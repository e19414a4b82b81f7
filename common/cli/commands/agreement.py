"""How near a network's outputs are to those of another, on images whose labels are not read."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from common.cli import typed
from common.cli.commands.words import command_parser
from common.cli.option_parser import OptionParser
from common.cli.outputs import check_outputs
from common.data import DATASETS
from common.errors import ConfigError
from common.runtime.installed import require_mindspore

SUMMARY = "compare a network's outputs with those of its float network, without labels"

# From a name or file, and an architecture or None, to a common.stored.network.StoredNetwork.
Load = Callable[[str, str | None], Any]


def make_parser() -> OptionParser:
    """Two networks and images."""
    parser = command_parser("agreement", f"{SUMMARY[0].upper()}{SUMMARY[1:]}.", names=False)
    parser.add_argument("--checkpoint", required=True, metavar="NAME|FILE", help="network of any method")
    parser.add_argument("--reference", required=True, metavar="NAME|FILE", help="network that it should agree with")
    parser.add_argument("--arch", metavar="ARCH", help="architecture of files that do not record theirs")
    parser.add_argument("--dataset", choices=DATASETS, default="digits", help="data set of the images")
    parser.add_argument("--dataset_path", type=typed.path, metavar="DIR", help="its folder")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="part whose images are taken")
    parser.add_argument("--num_samples", type=typed.positive_int, metavar="N", help="number of images; default: all")
    parser.add_argument("--batch_size", type=typed.positive_int, default=128, metavar="B", help="images at a time")
    parser.add_argument("--json", type=typed.path, metavar="FILE", help="JSON file to write the figures to")
    return parser


def run(words: Sequence[str], load: Load | None = None) -> None:
    """Compute the outputs of both networks and print how near they are.

    Raises:
        ConfigError: networks of other classes than each other's, or than the images', or a file that cannot be written.
        CheckpointError, DataError: networks or images are missing or damaged.
    """
    args = make_parser().parse_args(words)
    if load is None:
        raise ConfigError("agreement: what computes is not in this package; run python -m lowbitzoo agreement")
    check_outputs(args, folders=False)
    require_mindspore("agreement")
    from common.cli.classes import open_images
    from common.data import DataSelection
    from common.evaluation.agreement import agreement
    from common.runtime import context

    context.setup()
    given, reference = (load(name, args.arch) for name in (args.checkpoint, args.reference))
    _check_classes(given.metadata, reference.metadata)
    images = open_images(DataSelection(args.dataset, args.dataset_path), args.split)
    found = agreement(_logits(given, given, images, args), _logits(reference, given, images, args))
    print(
        f"agreement: {found.same} of {found.samples} {args.split} images of the same class, {100 * found.rate:.2f} %; "
        f"mean squared difference of the logits {found.difference:.4f}, divergence {found.divergence:.4f} nats"
    )
    if args.json is not None:
        _write(args, found)


def _check_classes(given: dict[str, Any], reference: dict[str, Any]) -> None:
    """Make sure that both networks mean the same by a logit, as far as their files tell."""
    from common.data.matching import recorded_classes

    own, others = recorded_classes(given), recorded_classes(reference)
    if own is None or others is None:
        return
    if own.count != others.count or (own.names and others.names and own.names != others.names):
        raise ConfigError(f"reference: expected a network of {own}, as the checkpoint's, in its order, found {others}")


def _logits(stored: Any, given: Any, images: Any, args: Namespace) -> Any:
    """Logits of a network; where its file records no preprocessing, that of the other network is taken."""
    from common.cli.classes import fit
    from common.evaluation.agreement import logits_of
    from common.models.registry import preprocessing_of

    images = fit(images, stored.metadata, args.split)
    images = images.spread(args.num_samples) if args.num_samples else images
    recorded = {"preprocessing": given.metadata.get("preprocessing"), **stored.metadata}
    label = f"{stored.metadata['network']}, {stored.kind}"
    return logits_of(stored.network, images, preprocessing_of(args.dataset, recorded), args.batch_size, label)


def _write(args: Namespace, found: Any) -> None:
    from dataclasses import asdict

    from common.report import write_json

    networks = {"checkpoint": args.checkpoint, "reference": args.reference, "split": args.split}
    write_json(args.json, {**networks, **asdict(found)})
