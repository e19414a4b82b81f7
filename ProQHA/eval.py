"""Evaluate a float network, or one whose bits were searched or set."""

from pathlib import Path

from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.result import finish
from common.cli.run_options import data_selection, run_options
from common.data import open_split
from common.evaluation import cost, evaluate_images
from common.models.registry import model, preprocessing_of
from common.quant.layers import quant_layers
from common.runtime import context
from common.stored.network import StoredNetwork
from ProQHA import storage
from ProQHA.dataset import add_options, chosen_model
from ProQHA.measure import cost_model
from ProQHA.quant import get_bits


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Evaluate ProQHA.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=typed.positive_int, help="the file's own if not given")
    return parser


def summary(stored: StoredNetwork, path: str | Path, image_size: int) -> dict:
    """What a report says of a network beside its accuracy: method, network, average bits, cost."""
    network, names = stored.network, list(quant_layers(stored.network))
    pairs = [tuple(map(int, pair)) for pair in get_bits(network)]
    layers = cost.trace(network, (3, image_size, image_size), bits=dict(zip(names, pairs)), products=names)
    found = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    found["cost"] = cost.summary(layers, Path(path).stat().st_size)
    if not names:
        return {**found, "bits": 32, "label": "float"}
    totals = cost_model(network, image_size).summary(get_bits(network))
    label = f"W{totals['average_weight_bits']:.3f} A{totals['average_activation_bits']:.3f}"
    return {**found, "bits": label, "search": totals, "label": label}


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.load(path, chosen_model(args), args.num_classes)
    model(stored.metadata["network"], args.dataset)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    record = summary(stored, path, preprocessing.image_size)
    quantized = "" if stored.kind == "float" else ", first and last layer and shortcuts float"
    print(f"{record['network']}, {record['label']}{quantized}")
    metrics = evaluate_images(
        stored.network, open_split(data_selection(args), "test"), preprocessing, args.batch_size, record["label"]
    )
    finish(run_options(args), metrics, path, {**record, "dataset": args.dataset})


if __name__ == "__main__":
    main()
