"""Evaluate a float network or one that main.py has quantized."""

from pathlib import Path

from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.result import finish
from common.data import open_split
from common.evaluation import cost, evaluate_images
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.network import StoredNetwork
from LDNQ import storage
from LDNQ.dataset import add_options


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("Evaluate LDNQ.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=config.positive_int, help="what the file must have; any if not given")
    return parser


def summary(stored: StoredNetwork, path: str | Path, image_size: int) -> dict:
    """What a report says of a network beside its accuracy: method, network, levels, bits, cost."""
    settings, training = (stored.metadata.get(key, {}) for key in ("settings", "training"))
    widths = {name: int(layer.weights[0].bits[0]) for name, layer in stored.layers.items()}
    bits = {name: (width, 32) for name, width in widths.items()}
    layers = cost.trace(stored.network, (3, image_size, image_size), bits=bits, products=list(bits))
    record = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    record |= {"levels": settings.get("levels"), "granularity": settings.get("granularity")}
    record |= {"images": training.get("images"), "bits": max(widths.values(), default=32)}
    label = f"{record['levels']} levels" if widths else "float"
    return {**record, "label": label, "cost": cost.summary(layers, Path(path).stat().st_size)}


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.load(path, args.model_name, args.num_classes)
    model(stored.metadata["network"], args.dataset)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    record = summary(stored, path, preprocessing.image_size)
    print(f"{record['network']}, {record['label']}, {record['bits']} bits per weight as stored")
    images = open_split(args, "test")
    metrics = evaluate_images(stored.network, images, preprocessing, args.batch_size, record["label"])
    finish(args, metrics, path, {**record, "dataset": args.dataset})


if __name__ == "__main__":
    main()
