"""Cost of any bits of a network: weight storage, average bits, bit operations per layer and in total, as a table.

python measure.py --arch resnet20 --k_bits 4
python measure.py --arch resnet --num_layers 50 --dataset imagenet --k_bits 2 --pre_k_bits 8 --ratio 0.5
python measure.py --arch resnet20 --bits 8 8 4 6 ...
python measure.py --checkpoint_path outputs/NAME/NAME.ckpt
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import nn

from common import report
from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.evaluation import cost
from common.models.registry import model
from common.quant.dorefa import MAX_BITS, MIN_BITS
from common.quant.layers import quant_layers
from common.runtime import context
from ProQHA import storage
from ProQHA.dataset import add_options, chosen_model
from ProQHA.quant import ACTIVATIONS, WEIGHTS, get_bits, quantized_names

_FLOAT_BITS = 32


@dataclass(frozen=True, eq=False)
class CostModel:
    """Sizes of the L quantized layers, from which the cost of any bits (..., L, 2) follows.

    Attributes:
        names: of the layers.
        weights: (L,) number of weights.
        activations: (L,) values of the input of one image.
        taps: (L,) multiplications for one image.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    activations: np.ndarray
    taps: np.ndarray

    def storage(self, bits: np.ndarray) -> np.ndarray:
        r"""Weight storage by that of float weights: :math:`\sum_l b_l n_l / (32 \sum_l n_l)`; shape (...)."""
        return (bits[..., WEIGHTS] * self.weights).sum(-1) / (_FLOAT_BITS * self.weights.sum())

    def compute(self, bits: np.ndarray) -> np.ndarray:
        """Bit operations by those of float layers (32 x 32 bits); shape (...)."""
        return self.bit_operations(bits).sum(-1) / (_FLOAT_BITS**2 * self.taps.sum())

    def bit_operations(self, bits: np.ndarray) -> np.ndarray:
        """Weight bits * activation bits * multiplications of each layer, (..., L), one image."""
        return bits.prod(-1) * self.taps

    def averages(self, bits: np.ndarray) -> tuple[float, float]:
        """Mean bits of weights, by their number, and of activations, by theirs; ``bits`` (L, 2)."""
        sizes = self.weights, self.activations
        return tuple(float((bits[:, column] * size).sum() / size.sum()) for column, size in enumerate(sizes))

    def summary(self, bits: np.ndarray) -> dict[str, float]:
        """All of it for one choice of bits (L, 2)."""
        weight_bits, activation_bits = self.averages(bits)
        return {
            "cost": float(self.storage(bits)),
            "compute_cost": float(self.compute(bits)),
            "average_weight_bits": weight_bits,
            "average_activation_bits": activation_bits,
            "bit_operations": float(self.bit_operations(bits).sum()),
        }


def cost_model(network: nn.Cell, image_size: int) -> CostModel:
    """Sizes of the layers that are quantized, or that would be if the network is float."""
    names = list(quant_layers(network))
    traced = cost.trace(network, (3, image_size, image_size), products=names)
    layers = {layer.name: layer for layer in traced}
    names = names or quantized_names(network)
    columns = ("weights", "activations", "taps")
    sizes = [np.array([getattr(layers[name], column) for name in names], float) for column in columns]
    return CostModel(tuple(names), *sizes)


def mixed_bits(layers: int, bits: int, other: int, ratio: float) -> np.ndarray:
    """Bits (L, 2): ``bits`` for the first ``ratio`` of the quantizers in the order W, A, W, A, ..., else ``other``."""
    found = np.full(2 * layers, other)
    found[: round(ratio * 2 * layers)] = bits
    return found.reshape(layers, 2)


def table(sizes: CostModel, bits: np.ndarray) -> str:
    """A line per layer and the totals."""
    columns = {
        "layer": sizes.names,
        "W bits": bits[:, WEIGHTS],
        "A bits": bits[:, ACTIVATIONS],
        "weights": sizes.weights,
        "activations": sizes.activations,
        "MACs": sizes.taps,
        "weight bytes": bits[:, WEIGHTS] * sizes.weights / 8,
        "bit operations": sizes.bit_operations(bits),
    }
    rows = [dict(zip(columns, line)) for line in zip(*columns.values())]
    means = [f"{mean:.3f}" for mean in sizes.averages(bits)]
    totals = [float(np.sum(values)) for values in list(columns.values())[3:]]
    rows = [{key: value if key == "layer" else f"{value:,.0f}" for key, value in row.items()} for row in rows]
    rows.append(dict(zip(columns, ["all", *means, *(f"{total:,.0f}" for total in totals)])))
    return report.text_table(rows, list(columns))


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Measure the cost of bits.", Path(__file__).parent / "config" / "measure.yaml")
    add_options(parser)
    bits = typed.int_range(MIN_BITS, MAX_BITS)
    group = parser.add_argument_group("bits")
    group.add_argument("--bits", type=bits, nargs="+", metavar="B", help="of weights and input of each layer in turn")
    group.add_argument("--k_bits", type=bits, default=8, help="of the first --ratio of the quantizers")
    group.add_argument("--pre_k_bits", type=bits, default=8, help="of the others")
    group.add_argument("--ratio", type=typed.fraction, default=1.0, help="of the quantizers that have k_bits")
    return parser


def choose_bits(args: Namespace, layers: int) -> np.ndarray:
    """The bits (L, 2) that the options say.

    Raises:
        ConfigError: ``--bits`` of another length.
    """
    if args.bits is None:
        return mixed_bits(layers, args.k_bits, args.pre_k_bits, args.ratio)
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
    sizes = cost_model(network, storage.image_size(args.dataset))
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
