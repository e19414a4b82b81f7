"""The most likely classes of pictures, by a runtime file or a checkpoint."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.cli import typed
from common.cli.commands.classify import SUMMARY
from common.cli.option_parser import OptionParser
from common.data.pictures import picture_files
from common.errors import ConfigError
from common.report.latency import median_seconds

RUNTIME_SUFFIX = ".lowbit"
_TOP = 5
_SECONDS, _BATCH = 1.0, 64  # of a measurement

# From a file and a number of threads to a lowbitzoo.runtime.Network.
Load = Callable[[Path, int | None], Any]
Elsewhere = Callable[[list[str]], None]


def make_parser() -> OptionParser:
    """File, pictures and what to say of them."""
    parser = OptionParser(f"{SUMMARY[0].upper()}{SUMMARY[1:]}.")
    parser.prog = "python -m lowbitzoo predict"
    what = "file of export.py --format lowbit, which needs no MindSpore, else name or file of a checkpoint"
    parser.add_argument("file", type=typed.path, metavar="NAME_OR_FILE", help=what)
    parser.add_argument("images", nargs="*", type=typed.path, metavar="IMAGE", help="pictures, and folders of them")
    parser.add_argument("--top", type=typed.positive_int, default=_TOP, metavar="K", help="classes of each picture")
    parser.add_argument("--threads", type=typed.positive_int, metavar="N", help="that compute; default: all")
    parser.add_argument(
        "--benchmark", action="store_true", help="measure the speed of a file of export.py, on random images"
    )
    return parser


def is_runtime_file(words: Sequence[str]) -> bool:
    """Whether the words of the command name a runtime file."""
    return any(word.endswith(RUNTIME_SUFFIX) for word in words)


def run(words: list[str], load: Load | None = None, elsewhere: Elsewhere | None = None) -> None:
    """Classify pictures, one after the other.

    Args:
        words: FILE, pictures and options.
        load: opens a runtime file; None: the command has nothing but its help.
        elsewhere: what takes the words where they name none.

    Raises:
        ConfigError: the file is missing, damaged or newer, or neither pictures nor a benchmark are asked for.
        DataError: a picture that cannot be read, or of a size that the network does not take.
    """
    if elsewhere and words and not is_runtime_file(words) and not {"-h", "--help"} & set(words):
        elsewhere(words)
        return
    args = make_parser().parse_args(words)
    if load is None:
        raise ConfigError("predict: what computes is not in this package; run python -m lowbitzoo predict")
    if not args.images and not args.benchmark:
        raise ConfigError("expected pictures or --benchmark behind the file, found neither")
    network, images = load(args.file, args.threads), picture_files(args.images)
    print(_introduction(network))
    for image in images:
        (best,) = network.top([image], args.top)
        print(image, *(f"{100 * share:8.2f} %  {name}" for name, share in best), sep="\n", flush=True)
    if args.benchmark:
        print("\n".join(_speed(network, load(args.file, 1))))


def _introduction(network: Any) -> str:
    about = network.about
    measured = (
        f"accuracy {about.accuracy:.4f} of {about.samples:,} images" if about.samples else "accuracy not measured"
    )
    data = f" of {about.dataset}" if about.dataset else ""
    return f"network: {about.network} ({about.method}), {network.num_classes} classes, {measured}{data}"


def _speed(network: Any, alone: Any) -> list[str]:
    side = network.about.preprocessing.image_size
    images = np.random.default_rng(0).normal(0, 1, (_BATCH, 3, side, side)).astype(np.float32)
    one = median_seconds(lambda: alone.logits(images[:1]), _SECONDS)
    many = median_seconds(lambda: network.logits(images), _SECONDS)
    return [
        f"one image, one thread: {1e3 * one:.3f} ms, {network.multiply_adds / one / 1e9:.0f} G multiply-adds/s",
        f"batch {_BATCH}, {network.threads} threads: {_BATCH / many:,.0f} images/s (median)",
        f"instructions: {network.instructions}; memory of a run: {network.memory / 2**20:.1f} MiB",
    ]
