"""Quantize a float network to 3 ... 11 levels from few unlabelled images; a killed run goes on when repeated."""

from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from common.cli import config, saved_config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.result import finish
from common.cli.run_options import data_selection, run_options
from common.cli.training_options import add_continue
from common.data import ImageSource, Preprocessing, open_split
from common.evaluation import Metrics, evaluate_images
from common.models.registry import model, preprocessing_of
from common.runtime import context
from LDNQ import layer_report, storage
from LDNQ.calibration_set import CalibrationSet, choose_images
from LDNQ.dataset import add_options, calibration_count
from LDNQ.eval import summary
from LDNQ.levels import LEVEL_COUNTS, code_bits
from LDNQ.plan import Plan
from LDNQ.quantize import Cascade


def make_parser() -> OptionParser:
    """Options of this script; those of the earlier code keep their names."""
    parser = config.build_parser("Quantize with LDNQ.", Path(__file__).parent / "config" / "quantize.yaml")
    add_options(parser)
    parser.add_argument(
        "--pretrained", type=typed.checkpoint, metavar="FILE|NAME", help="float network; digits: the shipped one"
    )
    _add_quantization(parser.add_argument_group("quantization"))
    _add_images(parser.add_argument_group("calibration images"))
    _add_matching(parser.add_argument_group("matching"))
    return parser


def _add_quantization(group) -> None:
    group.add_argument("--kbits", type=int, choices=LEVEL_COUNTS, default=3, help="NUMBER OF LEVELS, as the paper")
    group.add_argument("--granularity", choices=["channel", "layer"], default="channel", help="weights of one scale")
    own = {"type": typed.truth, "nargs": "?", "const": True, "default": True, "metavar": "BOOL"}
    group.add_argument("--quantized_first_and_last", **own, help="all layers; false: those between alone")
    group.add_argument("--rho", type=typed.positive_float, default=0.3, help="of ADMM, by the Hessian's mean diagonal")
    group.add_argument("--polish", action=BooleanOptionalAction, default=True, help="coordinate descent after ADMM")


def _add_images(group) -> None:
    group.add_argument("--ratio", type=typed.fraction, default=0.01, help="share of the training images to learn from")
    group.add_argument("--num_images", type=typed.int_range(2), metavar="N", help="their number, in place of --ratio")
    group.add_argument(
        "--resample", type=typed.truth, nargs="?", const=True, default=False, metavar="BOOL", help="new choice"
    )
    group.add_argument("--views", type=typed.positive_int, default=20, help="augmented views of each image")


def _add_matching(group) -> None:
    group.add_argument("--match_batch_size", type=typed.int_range(2), default=64, help="images of a training step")
    group.add_argument("--steps", type=typed.int_range(0), default=16, help="at most so many steps after each layer")
    group.add_argument("--lr", type=typed.positive_float, default=3e-3, help="learning rate of these steps")
    group.add_argument("--refine_steps", type=typed.int_range(0), default=200, help="0: the paper's cascade alone")
    group.add_argument("--refine_lr", type=typed.positive_float, default=1e-3, help="its first learning rate")
    add_continue(group, "go on with a run in output_dir; --no-continue starts it anew")
    group.add_argument("--test_layers", action=BooleanOptionalAction, default=True, help="test accuracy per layer")


def make_plan(args: Namespace) -> Plan:
    """The plan that the options describe."""
    names = ("kbits", "granularity", "rho", "polish", "steps", "lr", "refine_steps", "refine_lr")
    return Plan(
        **{name: getattr(args, name) for name in names},
        first_and_last=args.quantized_first_and_last,
        batch_size=args.match_batch_size,
    )


def has_test_images(args: Namespace) -> bool:
    """Whether the options name test images: those of the digits are built in."""
    return args.dataset == "digits" or (args.eval_dataset_path or args.dataset_path) is not None


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, choose the images, run the cascade, save, test, report."""
    args = config.parse(make_parser(), argv)
    context.setup(args.device_target, args.mode, args.seed, args.threads)
    model(args.arch, args.dataset)
    start = args.pretrained or storage.shipped(args.dataset, "float")
    stored = storage.load_float(start, args.arch)
    bits = f"{args.kbits} levels = {code_bits(args.kbits)} bits per weight"
    print(f"{args.arch}: {bits}, one scale per {args.granularity}")
    train = open_split(data_selection(args), "train")
    count = calibration_count(len(train), args.ratio, args.num_images)
    images = choose_images(train, count, args.seed, args.output_dir / "images.json", args.resample)
    preprocessing = preprocessing_of(args.dataset, stored.metadata)
    test = open_split(data_selection(args), "test") if has_test_images(args) else None
    saved_config.save(saved_config.as_dict(args), args.output_dir)
    before = measure(stored, test, preprocessing, args.batch_size) if test else None
    cascade = quantize(args, stored, CalibrationSet(images, preprocessing, args.views, args.seed), test)
    path = args.output_dir / f"{args.arch}_{args.kbits}levels.ckpt"
    layers = cascade.run(args.go_on)
    about = {"method": storage.METHOD, "kind": "latent", "kbits": args.kbits, "granularity": args.granularity}
    about |= {"dataset": args.dataset}
    about |= {"images": count, "seed": args.seed, "preprocessing": preprocessing.to_dict()}
    finished = storage.StoredNetwork(stored.network, stored.metadata | about, layers)
    storage.save(path, finished)
    report_run(args, cascade, path)
    if test:
        metrics = measure(finished, test, preprocessing, args.batch_size)
        about = {**summary(finished, preprocessing.image_size), "float_acc": before.accuracy}
        drop = 100 * (before.accuracy - metrics.accuracy)
        print(f"float {100 * before.accuracy:.2f} %, quantized {100 * metrics.accuracy:.2f} %: drop {drop:.2f} points")
        about |= {"stages": dict(cascade.seconds), "layers": cascade.records}
        finish(run_options(args), metrics, path, about)


def measure(stored: storage.StoredNetwork, test: ImageSource, preprocessing: Preprocessing, batch_size: int) -> Metrics:
    """Test metrics of a network as it is now."""
    return evaluate_images(stored.network, test, preprocessing, batch_size, "test")


def quantize(args: Namespace, stored: storage.StoredNetwork, data: CalibrationSet, test: ImageSource | None) -> Cascade:
    """The cascade that the options describe, ready to run."""

    def accuracy(_) -> float:
        return measure(stored, test, data.preprocessing, args.batch_size).accuracy

    shown = accuracy if test and args.test_layers else None
    return Cascade(stored.network, data, make_plan(args), args.output_dir, shown)


def report_run(args: Namespace, cascade: Cascade, path: Path) -> None:
    """Print the layers and the time of each stage; write the layer report."""
    layer_report.write(args.output_dir, cascade.records)
    print(layer_report.table(cascade.records))
    for stage, seconds in cascade.seconds.items():
        print(f"{stage}: {seconds:.1f} s")
    print(f"all stages: {sum(cascade.seconds.values()):.1f} s; {path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
