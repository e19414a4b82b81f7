"""Bytes, bit operations and speed of ImageNet's networks, of random weights: what does not depend on the weights.

python scripts/imagenet_sizes.py --output_dir outputs/sizes [--networks resnet18 ...] [--methods ProQHA ...]

The files stay in --output_dir. They are no use but for this: what a network of true weights reaches,
``python eval.py --checkpoint_path FILE --dataset imagenet --dataset_path IMAGENET`` of its method measures. With
--record, rows are also put beside those that the README shows.
"""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from imagenet.sizes import KEYS, RECORDED, cost_of, table
from imagenet.speed import images_per_second

import lowbitzoo
from common.cli import typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.data import IMAGENET, ImageArrays
from common.models.registry import model
from common.report.results import Results
from common.runtime import context
from common.stored.network import StoredNetwork

NETWORKS = ("resnet18", "resnet34", "resnet50", "mobilenet_v2")
_IMAGES, _SIDE = 8, 224
_FORM = replace(IMAGENET, resize=None)  # of images that have the network's size already


def _images() -> ImageArrays:
    """A few random images, which decide ranges alone."""
    pixels = np.random.default_rng(0).integers(0, 256, (_IMAGES, _SIDE, _SIDE, 3), np.uint8)
    return ImageArrays(pixels, np.zeros(_IMAGES, np.int32), 1000)


def _quantized(method: str, **options) -> Callable[[str], StoredNetwork]:
    def make(network: str) -> StoredNetwork:
        cell = model(network).build(1000)
        return lowbitzoo.quantize(cell, method, name=network, images=_images(), preprocessing=_FORM, **options)

    return make


def _float(network: str) -> StoredNetwork:
    about = {"method": "LDNQ", "kind": "float", "network": network, "num_classes": 1000}
    return StoredNetwork(model(network).build(1000), about)


METHODS = {
    "float": _float,
    "ProQHA W8A8": _quantized("ProQHA", bits=8),
    "ProQHA W4A4": _quantized("ProQHA", bits=4),
    "DAMBQ int8 W4A4": _quantized("DAMBQ", bits=4, table="int8"),
    "DynamicQuant dynamic 3/4/5": _quantized("DynamicQuant", bits=4, quantizer="pact"),
}


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = OptionParser("Bytes, bit operations and speed of ImageNet's networks.")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="networks to measure")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="methods")
    parser.add_argument(
        "--output_dir", type=typed.path, default=Path("outputs"), help="folder of files and results.csv"
    )
    parser.add_argument("--threads", type=typed.positive_int, metavar="N", help="of all that computes; default: all")
    speed = "make nothing: time the networks whose files are there, on a quiet machine"
    parser.add_argument("--speed", action="store_true", help=speed)
    parser.add_argument("--record", action="store_true", help="keep rows for the README too")
    return parser


def measure(args: Namespace, results: Results, network: str, method: str) -> None:
    """Make a network where it is missing, and write its row; with ``--speed``, time it."""
    file = args.output_dir / f"{network}_{method.replace(' ', '_').replace('/', '')}.ckpt"
    key = {"network": network, "method": method}
    if args.speed:
        before = next((row for row in results.rows() if all(row[name] == key[name] for name in KEYS)), None)
        if before:
            results.put(before | images_per_second(file, network))
        return
    if not results.has(key):
        lowbitzoo.save(METHODS[method](network), file)
        results.put({**key, "file_bytes": file.stat().st_size, **cost_of(lowbitzoo.load(file), _SIDE)})


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Make, measure, show."""
    args = make_parser().parse_args(argv)
    context.setup(threads=args.threads)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    results = Results(args.output_dir / "results.csv", KEYS)
    for network in args.networks:
        for method in args.methods:
            measure(args, results, network, method)
    for row in results.rows() if args.record else []:
        RECORDED.put(row)
    print(table(results.rows()))


if __name__ == "__main__":
    main()
