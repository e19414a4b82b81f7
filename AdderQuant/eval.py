"""Evaluate an AdderNet in float or at 2 to 8 bits: calibrate it first, or load what was calibrated before."""

from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from AdderQuant import storage
from AdderQuant.calibration import CalibrationData, Quantization, calibrate
from AdderQuant.dataset import preprocessing_of
from AdderQuant.network import adder_layers
from AdderQuant.quant import MAX_GROUPS, SCHEMES
from common.checkpoint import network_state
from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.result import finish
from common.cli.run_options import data_selection, run_options
from common.data import open_split
from common.errors import ConfigError
from common.evaluation import cost, evaluate_images
from common.models.registry import model
from common.runtime import context


def make_parser() -> OptionParser:
    """Options of this script; the aliases are the names that the method's earlier code documents."""
    parser = config.build_parser("Evaluate AdderQuant.", Path(__file__).parent / "config" / "eval.yaml")
    parser.add_alias("--checkpoint_file_path", "--checkpoint_path")
    group = parser.add_argument_group("network")
    group.add_argument("--network", choices=list(DEPTHS), default="resnet20", help="where the file does not record it")
    group.add_argument("--num_classes", "--class_num", type=typed.positive_int, help="the file's own if not given")
    group = parser.add_argument_group("quantization")
    group.add_argument("--bits", type=typed.int_range(2, 8, 32), help="32 is float; 8 for a float file if not given")
    group.add_argument("--scheme", choices=SCHEMES, default="two-sided", help="levels of the weights")
    group.add_argument(
        "--groups", type=typed.int_range(1, MAX_GROUPS), default=4, help="scale groups per layer of scheme paper"
    )
    group.add_argument(
        "--quantile",
        type=typed.fraction,
        help="share of the inputs left unclamped; chosen by scheme and bits if not given",
    )
    group.add_argument("--calibration_size", type=typed.positive_int, default=1024, metavar="N", help="images")
    group.add_argument("--reestimate", action=BooleanOptionalAction, default=False, help="BatchNorm statistics too")
    group.add_argument("--reestimation_batches", type=typed.positive_int, default=16, metavar="N", help="of 128")
    group.add_argument("--save_checkpoint", type=typed.path, metavar="FILE", help="keep the calibrated network")
    group = parser.add_argument_group("accepted for old command lines")
    group.add_argument("--device_num", type=typed.int_range(1, 1), default=1, help="one process")
    group.add_argument("--image_size", type=typed.int_range(32, 32), default=32, help="what the networks take")
    return parser


def quantized_network(stored: storage.StoredNetwork, args: Namespace) -> storage.StoredNetwork:
    """The network to evaluate: calibrated now from a float file, or as the file holds it."""
    if stored.quantized:
        _check_calibrated(stored.metadata, args)
        return stored
    wanted = Quantization(args.bits or 8, args.scheme, args.groups, args.quantile, args.reestimate, args.seed)
    if wanted.bits == 32 and not wanted.reestimate:
        return storage.StoredNetwork(stored.network, stored.metadata | {"bits": 32})
    images = open_split(data_selection(args), "train")
    images = images.sample(min(args.calibration_size, len(images)), args.seed)
    data = CalibrationData(images, preprocessing_of(args.dataset, stored.metadata), args.reestimation_batches)
    network = calibrate(stored.network, stored.metadata, wanted, data)
    metadata = stored.metadata | wanted.metadata() | {"calibration_size": len(images), "dataset": args.dataset}
    return storage.StoredNetwork(network, metadata | {"preprocessing": data.preprocessing.to_dict()})


def _check_calibrated(metadata: dict, args: Namespace) -> None:
    """Refuse options that ask for another network than the calibrated one that the file holds."""
    asked = {"bits": args.bits, "quantile": args.quantile, "reestimated": args.reestimate or None}
    asked["scheme"] = None if args.scheme == SCHEMES[0] else args.scheme
    for name, value in asked.items():
        if value not in (None, metadata.get(name)):
            raise ConfigError(
                f"{name}: the checkpoint was calibrated with {metadata.get(name)}, found {value}; start from the float "
                "checkpoint"
            )


def network_cost(stored: storage.StoredNetwork) -> dict:
    """Bytes, average bits and operations of the network."""
    packed = storage.packed_codes(stored.network)
    bits = {name.removesuffix(".codes"): (width, width) for name, width in packed.items()}
    plain = model(stored.metadata["network"]).build(stored.metadata["num_classes"])
    layers = cost.trace(plain, (3, 32, 32), adder_layers(plain), bits)
    return cost.summary(layers, cost.stored_bytes(network_state.state(stored.network), packed))


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, calibrate where needed, evaluate, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    path = args.checkpoint_path or storage.shipped(args.dataset)
    stored = quantized_network(storage.load(path, args.network, args.num_classes), args)
    if args.save_checkpoint:
        storage.save(args.save_checkpoint, stored.network, stored.metadata)
    images = open_split(data_selection(args), "test")
    preprocessing, label = preprocessing_of(args.dataset, stored.metadata), f"{stored.metadata['bits']} bits"
    metrics = evaluate_images(stored.network, images, preprocessing, args.batch_size, label)
    record = {key: stored.metadata.get(key) for key in ("method", "network", "bits", "scheme", "groups", "reestimated")}
    finish(run_options(args), metrics, path, {**record, "dataset": args.dataset, "cost": network_cost(stored)})


if __name__ == "__main__":
    main()
