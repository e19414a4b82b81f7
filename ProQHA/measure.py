"""Cost of any bits of a network: weight storage, average bits, bit operations per layer and in total, as a table.

python measure.py --arch resnet20 --k_bits 4
python measure.py --arch resnet --num_layers 50 --dataset imagenet --k_bits 2 --pre_k_bits 8 --ratio 0.5
python measure.py --arch resnet20 --bits 8 8 4 6 ...
python measure.py --checkpoint_path outputs/NAME/NAME.ckpt
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import report
from common.cli import config
from common.cli.entry_point import entry_point
from common.errors import ConfigError
from common.models.registry import PREPROCESSING, model
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.runtime import context
from ProQHA import storage
from ProQHA.cost_model import MixedBits, cost_model, table
from ProQHA.options import add_options, chosen_model
from ProQHA.quant import get_bits


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("Measure the cost of bits.", Path(__file__).parent / "config" / "measure.yaml")
    add_options(parser)
    bits = config.int_range(MIN_BITS, MAX_BITS)
    group = parser.add_argument_group("bits")
    group.add_argument("--bits", type=bits, nargs="+", metavar="B", help="of weights and input of each layer in turn")
    group.add_argument("--k_bits", type=bits, default=8, help="of the first --ratio of the quantizers")
    group.add_argument("--pre_k_bits", type=bits, default=8, help="of the others")
    group.add_argument("--ratio", type=config.fraction, default=1.0, help="of the quantizers that have k_bits")
    return parser


def choose_bits(args: Namespace, layers: int) -> np.ndarray:
    """The bits (L, 2) that the options say.

    Raises:
        ConfigError: ``--bits`` of another length.
    """
    if args.bits is None:
        return MixedBits(args.k_bits, args.pre_k_bits, args.ratio).of_layers(layers)
    if len(args.bits) != 2 * layers:
        raise ConfigError(
            f"bits: expected {2 * layers} numbers, of weights and input of {layers} layers in turn, "
            f"found {len(args.bits)}"
        )
    return np.array(args.bits).reshape(layers, 2)


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and one line of totals."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    if args.checkpoint_path:
        stored = storage.load(args.checkpoint_path, chosen_model(args))
        name, network = stored.metadata["network"], stored.network
        args.dataset = stored.metadata.get("dataset", args.dataset)
    else:
        name = chosen_model(args)
        network = model(name).build(1000 if args.dataset == "imagenet" else 10)
    sizes = cost_model(network, PREPROCESSING[args.dataset].image_size)
    found = get_bits(network)
    bits = found if len(found) and not args.bits else choose_bits(args, len(sizes.names))
    print(table(sizes, bits))
    totals = sizes.summary(bits)
    print(f"{name}: " + ", ".join(f"{key} {value:.6g}" for key, value in totals.items()))
    if args.json:
        layers = [{"layer": layer, "bits": own.tolist()} for layer, own in zip(sizes.names, bits)]
        report.write_json(args.json, {"network": name, **totals, "layers": layers})


if __name__ == "__main__":
    main()
