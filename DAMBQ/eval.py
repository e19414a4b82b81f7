"""Evaluate a float network or one that train.py has quantized."""

from pathlib import Path

from mindspore import nn

from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.result import finish
from common.data import open_split
from common.evaluation import cost, evaluate_images
from common.models.registry import model, preprocessing_of
from common.quant.layers import quant_layers
from common.runtime import context
from common.stored.network import StoredNetwork
from DAMBQ import storage
from DAMBQ.allocation import average_bits
from DAMBQ.dataset import add_options
from DAMBQ.network import ARCHITECTURES, multi_bit_layers


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("Evaluate DAMBQ.", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=config.positive_int, help="the file's own if not given")
    return parser


def layer_bits(network: nn.Cell) -> dict[str, tuple[float, float]]:
    """Mean bits of weights and of inputs of each quantized layer; the first one's input is float."""
    names = list(quant_layers(network))
    found = dict.fromkeys(names, (8.0, 8.0)) | dict.fromkeys(names[:1], (8.0, 32.0))
    for name, layer in multi_bit_layers(network).items():
        found[name] = tuple(float(part.bits.asnumpy().mean()) for part in (layer.quantize_weight, layer.quantize_input))
    return found


def summary(stored: StoredNetwork, path: str | Path, image_size: int) -> dict:
    """What a report says of a network beside its accuracy: method, network, average bits, cost."""
    network = stored.network
    bits, names = layer_bits(network), list(quant_layers(network))
    layers = cost.trace(network, (3, image_size, image_size), bits=bits, products=names)
    found = {"method": storage.METHOD, "network": stored.metadata["network"], "kind": stored.kind}
    found["cost"] = cost.summary(layers, Path(path).stat().st_size)
    if not names:
        return {**found, "bits": 32, "average_bits": {"weights": 32.0, "activations": 32.0}, "label": "float"}
    means = average_bits(network, image_size)
    label = f"W{means['weights']:.3f} A{means['activations']:.3f}"
    return {**found, "bits": label, "average_bits": means, "label": label}


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = storage.load(path, ARCHITECTURES[args.arch], args.num_classes)
    model(stored.metadata["network"], args.dataset)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    record = summary(stored, path, preprocessing.image_size)
    print(f"{record['network']}, {record['label']}, first and last layer 8 bits" if stored.kind != "float" else "float")
    images = open_split(args, "test")
    metrics = evaluate_images(stored.network, images, preprocessing, args.batch_size, record["label"])
    finish(args, metrics, path, {**record, "dataset": args.dataset})


if __name__ == "__main__":
    main()
