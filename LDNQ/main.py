"""Quantize a float network to 3 ... 11 levels from few unlabelled images; a killed run goes on when repeated."""

from argparse import BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path

from common.cli import config
from common.cli.entry_point import entry_point
from common.cli.result import finish
from common.data import ImageSource, Preprocessing, open_split
from common.evaluation import Metrics, evaluate_images
from common.models.registry import model, preprocessing_of
from common.runtime import context
from common.stored.float_network import load_float
from common.stored.network import StoredNetwork
from LDNQ import layer_report, storage
from LDNQ.calibration_set import CalibrationSet, choose_images
from LDNQ.cascade import Cascade
from LDNQ.convert import quantized_network
from LDNQ.dataset import add_options, calibration_count
from LDNQ.eval import summary
from LDNQ.levels import LEVEL_COUNTS, code_bits
from LDNQ.plan import Plan
from LDNQ.quant_config import GRANULARITIES, QuantConfig


def make_parser() -> config.OptionParser:
    """Options of this script; those of the original release keep their names."""
    parser = config.build_parser("Quantize with LDNQ.", Path(__file__).parent / "config" / "quantize.yaml")
    add_options(parser)
    parser.add_argument(
        "--pretrained", type=config.checkpoint, metavar="FILE|NAME", help="float network; digits: the shipped one"
    )
    _add_quantization(parser.add_argument_group("quantization"))
    _add_images(parser.add_argument_group("calibration images"))
    _add_matching(parser.add_argument_group("matching"))
    parser.add_alias("--kbits", "--levels")
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--levels", type=int, choices=LEVEL_COUNTS, default=3, help="NUMBER of levels of a weight")
    group.add_argument("--granularity", choices=GRANULARITIES, default="channel", help="weights of one scale")
    switch = {"type": config.truth, "nargs": "?", "const": True, "default": True, "metavar": "BOOL"}
    group.add_argument("--quantized_first_and_last", **switch, help="all layers; false: those between alone")
    group.add_argument("--rho", type=config.positive_float, default=0.3, help="of ADMM, by the Hessian's mean diagonal")
    group.add_argument("--polish", action=BooleanOptionalAction, default=True, help="coordinate descent after ADMM")


def _add_images(group) -> None:
    group.add_argument("--ratio", type=config.fraction, default=0.01, help="share of the training images to learn from")
    group.add_argument("--num_images", type=config.int_range(2), metavar="N", help="their number, in place of --ratio")
    group.add_argument(
        "--resample", type=config.truth, nargs="?", const=True, default=False, metavar="BOOL", help="new choice"
    )
    group.add_argument("--views", type=config.positive_int, default=20, help="augmented views of each image")


def _add_matching(group) -> None:
    group.add_argument("--match_batch_size", type=config.int_range(2), default=64, help="images of a training step")
    group.add_argument("--steps", type=config.int_range(0), default=16, help="at most so many steps after each layer")
    group.add_argument("--lr", type=config.positive_float, default=3e-3, help="learning rate of these steps")
    group.add_argument("--refine_steps", type=config.int_range(0), default=200, help="0: the paper's cascade alone")
    group.add_argument("--refine_lr", type=config.positive_float, default=1e-3, help="its first learning rate")
    group.add_argument("--resume", action=BooleanOptionalAction, default=True, help="go on with a run in output_dir")
    group.add_argument("--test_layers", action=BooleanOptionalAction, default=True, help="test accuracy per layer")


def make_plan(args: Namespace) -> Plan:
    """The plan that the options describe."""
    names = ("rho", "polish", "steps", "lr", "refine_steps", "refine_lr")
    return Plan(**{name: getattr(args, name) for name in names}, batch_size=args.match_batch_size)


def has_test_images(args: Namespace) -> bool:
    """Whether the options name test images: those of the digits are built in."""
    return args.dataset == "digits" or (args.eval_dataset_path or args.dataset_path) is not None


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, choose the images, run the cascade, save, test, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    model(args.model_name, args.dataset)
    start = args.pretrained or storage.shipped(args.dataset, "float")
    stored = load_float(start, args.model_name)
    bits = f"{args.levels} levels = {code_bits(args.levels)} bits per weight"
    print(f"{args.model_name}: {bits}, one scale per {args.granularity}")
    train = open_split(args, "train")
    count = calibration_count(len(train), args.ratio, args.num_images)
    images = choose_images(train, count, args.seed, args.output_dir / "images.json", args.resample)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    test = open_split(args, "test") if has_test_images(args) else None
    config.save(args, args.output_dir)
    before = measure(stored, test, preprocessing, args.batch_size) if test else None
    cascade = quantize(args, stored, CalibrationSet(images, preprocessing, args.views, args.seed), test)
    path = args.output_dir / f"{args.model_name}_{args.levels}levels.ckpt"
    layers = cascade.run(args.resume)
    training = {**stored.metadata.get("training", {}), "images": count, "seed": args.seed}
    about = {"kind": "packed", "settings": asdict(cascade.config), "training": training}
    about |= {"dataset": args.dataset, "preprocessing": preprocessing.to_dict()}
    network = quantized_network(stored.network, cascade.config, layers)
    finished = StoredNetwork(network, stored.metadata | about, layers)
    storage.save_packed(path, finished)
    report_run(args, cascade, path)
    if test:
        metrics = measure(finished, test, preprocessing, args.batch_size)
        about = {**summary(finished, path, preprocessing.image_size), "float_acc": before.accuracy}
        drop = 100 * (before.accuracy - metrics.accuracy)
        print(f"float {100 * before.accuracy:.2f} %, quantized {100 * metrics.accuracy:.2f} %: drop {drop:.2f} points")
        about |= {"stages": dict(cascade.state.seconds), "layers": cascade.state.records}
        finish(args, metrics, path, {**about, "dataset": args.dataset})


def measure(stored: StoredNetwork, test: ImageSource, preprocessing: Preprocessing, batch_size: int) -> Metrics:
    """Test metrics of a network as it is now."""
    return evaluate_images(stored.network, test, preprocessing, batch_size, "test")


def quantize(args: Namespace, stored: StoredNetwork, data: CalibrationSet, test: ImageSource | None) -> Cascade:
    """The cascade that the options describe, ready to run."""

    def accuracy(_) -> float:
        return measure(stored, test, data.preprocessing, args.batch_size).accuracy

    shown = accuracy if test and args.test_layers else None
    config = QuantConfig(args.levels, args.granularity, args.quantized_first_and_last)
    return Cascade(stored.network, data, config, make_plan(args), args.output_dir, shown)


def report_run(args: Namespace, cascade: Cascade, path: Path) -> None:
    """Print the layers and the time of each stage; write the layer report."""
    layer_report.write(args.output_dir, cascade.state.records)
    print(layer_report.table(cascade.state.records))
    for stage, seconds in cascade.state.seconds.items():
        print(f"{stage}: {seconds:.1f} s")
    print(f"all stages: {sum(cascade.state.seconds.values()):.1f} s; {path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
