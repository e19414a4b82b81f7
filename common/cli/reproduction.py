"""Options and steps of the scripts that make a method's networks, evaluate them on CIFAR-10 and record the results."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from common.cli.checkpoint_names import resolved
from common.cli.option_parser import OptionParser
from common.cli.outputs import check_outputs
from common.cli.typed import checkpoint as checkpoint_type
from common.cli.typed import path, positive_float, positive_int, share
from common.errors import ConfigError

BATCH_SIZE = 125  # divides the numbers of test images, so that speeds are those of full batches


def make_parser(description: str, name: str, training: bool = True) -> OptionParser:
    """A parser with the options that all of them have; ``name`` is the default name of the images in results.csv."""
    parser = OptionParser(description)
    what = f"folder of CIFAR-10, {'to train and test on' if training else 'training and test images'}"
    parser.add_argument("--dataset_path", required=True, metavar="DIR", help=what)
    parser.add_argument("--name", default=name, help="name of these images in results.csv")
    parser.add_argument(
        "--also_eval", nargs="*", default=[], metavar="NAME=DIR", help="names and folders of further test images"
    )
    parser.add_argument(
        "--threads", type=positive_int, metavar="N", help="number of CPU threads; all cores if not given"
    )
    outputs = "folder of the runs"
    parser.add_argument("--output_dir", type=path, default=Path("outputs/reproduce"), metavar="DIR", help=outputs)
    return parser


def add_pretrained(parser: OptionParser, text: str = "published float network", required: bool = True) -> None:
    """Add ``--pretrained``, the float network to start from: a file or a registered name."""
    parser.add_argument("--pretrained", type=checkpoint_type, required=required, metavar="FILE|NAME", help=text)


def add_network(parser: OptionParser, arch: str, text: str = "architecture of the float network") -> None:
    """Add ``--arch`` with a default, and the preprocessing of a ``--pretrained`` that records none."""
    parser.add_argument("--arch", default=arch, help=text)
    channels: dict[str, Any] = {"nargs": 3, "metavar": ("R", "G", "B"), "help": "of the images, if the file has none"}
    parser.add_argument("--mean", type=share, **channels)
    parser.add_argument("--std", type=positive_float, **channels)


def network_words(args: Namespace) -> list[str]:
    """The options of :func:`add_network` for another script that reads ``--pretrained``."""
    words = ["--arch", args.arch]
    for name in ("mean", "std"):
        if values := getattr(args, name):
            words += [f"--{name}", *map(str, values)]
    return words


def parse(parser: OptionParser, argv: Sequence[str] | None) -> Namespace:
    """The options, with a registered name's file in its place; makes the output folder.

    Raises:
        ConfigError: the output folder cannot be written.
        CheckpointError: the file of a registered name is damaged or cannot be fetched.
    """
    args = parser.parse_args(argv)
    check_outputs(args, folders=True)
    if args.pretrained:
        args.pretrained = resolved(args.pretrained)
    return args


def folders_by_name(args: Namespace) -> dict[str, str]:
    """Folders of test images by their names.

    Raises:
        ConfigError: further test images that are not written as NAME=DIR.
    """
    pairs = [pair.partition("=")[::2] for pair in args.also_eval]
    if not all(name and folder for name, folder in pairs):
        raise ConfigError(f"also_eval: expected NAME=DIR, found {' '.join(args.also_eval)}")
    return {args.name: args.dataset_path, **dict(pairs)}


def thread_words(args: Namespace) -> list[str]:
    """The option that hands the threads to another script."""
    return ["--threads", str(args.threads)] if args.threads else []


def evaluated(script: ModuleType, args: Namespace, checkpoint: Path, folder: str, *words: object) -> dict[str, Any]:
    """The JSON record of a method's ``eval.py`` for a network on the test images of a folder."""
    file = args.output_dir / "eval.json"
    line = ["--checkpoint_path", checkpoint, "--dataset", "cifar10", "--dataset_path", folder, *thread_words(args)]
    script.main([str(word) for word in (*line, "--batch_size", BATCH_SIZE, *words, "--json", file)])
    return json.loads(file.read_text(encoding="utf-8"))


def hours_of(run: Path) -> float:
    """Hours that the epochs of the training in a folder took."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["seconds"] for line in lines) / 3600
