"""Evaluate a float network or one that main.py has quantized."""

from pathlib import Path

from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.result import finish
from common.cli.run_options import data_selection, run_options
from common.data import open_split
from common.evaluation import cost, evaluate_images
from common.models.registry import model, preprocessing_of
from common.runtime import context
from LDNQ import storage
from LDNQ.dataset import add_options
from LDNQ.levels import code_bits


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Evaluate LDNQ.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=typed.positive_int, help="the file's own if not given")
    return parser


def summary(stored: storage.StoredNetwork, image_size: int) -> dict:
    """What a report says of a network beside its accuracy: method, network, levels, cost."""
    bits = code_bits(stored.kbits) if stored.kbits else 32
    tensors, packed = storage.to_tensors(stored)
    layers = cost.trace(stored.network, (3, image_size, image_size), bits=dict.fromkeys(stored.layers, (bits, 32)))
    found = {key: stored.metadata.get(key) for key in ("method", "network", "kbits", "granularity", "images")}
    levels = f"{stored.kbits} levels" if stored.kbits else "float"
    return {**found, "bits": bits, "levels": levels, "cost": cost.summary(layers, cost.stored_bytes(tensors, packed))}


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.load(path, args.arch, args.num_classes)
    model(stored.metadata["network"], args.dataset)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    record = summary(stored, preprocessing.image_size)
    print(f"{record['network']}, {record['levels']}, {record['bits']} bits per weight as stored")
    images = open_split(data_selection(args), "test")
    metrics = evaluate_images(stored.network, images, preprocessing, args.batch_size, record["levels"])
    finish(run_options(args), metrics, path, {**record, "dataset": args.dataset})


if __name__ == "__main__":
    main()
