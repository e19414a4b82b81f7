"""Compare all methods with uniform quantization, from the same float network, on the same images, at the same bits.

python scripts/compare.py                                   # digits, under ten minutes
python scripts/compare.py --dataset_path CIFAR10 --pretrained resnet20-cifar10 --adder_pretrained FILE

Leaves results.csv, results.json, results.md and four pictures in --output_dir. What is in results.csv already is kept,
and a training that was stopped goes on. With --record they are also put beside those that the README shows. Speeds are
those of the machine at that moment: where other jobs ran, give the command again with --speeds on an idle one.
"""

import hashlib
import json
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from comparison import pictures, recorded
from comparison.entries import METHODS, Entry, entries
from comparison.jobs import Scripts, for_each
from comparison.recorded import KEYS
from comparison.table import table

from common import report, zoo
from common.checkpoint.reading import read_bytes
from common.cli import config, typed
from common.cli.entry_point import entry_point, kept
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.files.atomic_file import write_text
from common.report.results import Results

_FOLDERS = ("dataset_path", "train_dataset_path", "eval_dataset_path")
# By data set: epochs of a training, its batch, training images, images that LDNQ learns from.
SCALES = {
    "digits": {"epochs": 2, "train_batch_size": 64, "train_samples": None, "calibration_images": 300},
    "cifar10": {"epochs": 4, "train_batch_size": 128, "train_samples": 10_000, "calibration_images": 500},
}


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("Compare all methods.", evaluates=False)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods to compare")
    parser.add_argument("--bits", type=typed.int_range(2, 4), nargs="+", default=[4, 3], help="budgets in bits, 2 to 4")
    parser.add_argument(
        "--pretrained", type=typed.checkpoint, metavar="FILE|NAME", help="float ResNet-20 to start from"
    )
    adder = "float AdderNet that AdderQuant calibrates"
    parser.add_argument("--adder_pretrained", type=typed.checkpoint, metavar="FILE|NAME", help=adder)
    epochs = "epochs of each training, at least 2; default: 2 for digits, 4 for cifar10"
    parser.add_argument("--epochs", type=typed.int_range(2), help=epochs)
    batch = "images per training step; default: 64 for digits, 128 for cifar10"
    parser.add_argument("--train_batch_size", type=typed.positive_int, help=batch)
    images = "number of images that LDNQ learns from; default: 300 for digits, 500 for cifar10"
    parser.add_argument("--calibration_images", type=typed.int_range(2), help=images)
    parser.add_argument("--jobs", type=typed.positive_int, help="networks made at a time; default: 2 on CPU, else 1")
    parser.settable()["threads"].help = "number of threads of each job; default: its share of the cores"
    speeds = "measure the speed of networks that are made already anew too, one after the other"
    parser.add_argument("--speeds", action="store_true", help=speeds)
    parser.add_argument("--record", action="store_true", help="keep rows and pictures for the README too")
    return parser


def settle(args: Namespace) -> None:
    """Fill in what the data set decides, and make paths hold from every folder.

    Raises:
        ConfigError: another data set, a float network that is missing, or bits that a method does not have.
    """
    if args.dataset not in SCALES:
        raise ConfigError(f"dataset: expected {' or '.join(SCALES)}, found {args.dataset}")
    for name, value in SCALES[args.dataset].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.jobs = args.jobs or (2 if args.device_target == "CPU" else 1)
    if args.dataset == "digits":
        args.pretrained = args.pretrained or zoo.locate("resnet20-digits")
        args.adder_pretrained = args.adder_pretrained or zoo.locate("adderquant-resnet20-digits")
    if not args.pretrained:
        raise ConfigError("pretrained: expected a float ResNet-20 for cifar10, found none; give FILE or NAME")
    if "AdderQuant" in args.methods and args.dataset == "cifar10" and not args.adder_pretrained:
        raise ConfigError(
            "adder_pretrained: expected a float AdderNet for cifar10, found none; give FILE or NAME, or --methods "
            f"{' '.join(name for name in args.methods if name != 'AdderQuant')}"
        )
    if "DynamicQuant" in args.methods and 2 in args.bits:
        raise ConfigError("bits: DynamicQuant has targets from 3 up, found 2; leave it out of --methods")
    for name in ("pretrained", "adder_pretrained", "output_dir", *_FOLDERS):
        if value := getattr(args, name):
            setattr(args, name, value.resolve())


def shared(args: Namespace) -> list[str]:
    """The options that all scripts get."""
    words = ["--dataset", args.dataset, "--device_target", args.device_target, "--mode", args.mode]
    for name in (*_FOLDERS, "train_samples"):
        if value := getattr(args, name):
            words += [f"--{name}", str(value)]
    return words


def settings(args: Namespace) -> dict[str, Any]:
    """The options that decide the figures: networks of others do not belong in one table."""
    names = ("dataset", "seed", "mode", "epochs", "train_batch_size", "train_samples", "calibration_images")
    values = {name: getattr(args, name) for name in (*names, "num_samples", "batch_size", "jobs", "threads")}
    values |= {name: str(getattr(args, name) or "") for name in _FOLDERS}
    for name in ("pretrained", "adder_pretrained"):
        file = getattr(args, name)
        values[name] = hashlib.sha256(read_bytes(file)).hexdigest() if file else None
    return values


def check_folder(args: Namespace) -> None:
    """Note the settings in the output folder, and let none but these add to its rows.

    Raises:
        ConfigError: others did.
    """
    file, wanted = args.output_dir / "settings.json", settings(args)
    if file.exists():
        recorded = json.loads(file.read_text(encoding="utf-8"))
        if changed := [name for name, value in wanted.items() if recorded.get(name) != value]:
            where = f"output_dir: {args.output_dir}"
            raise ConfigError(f"{where} has results of another {changed[0]}; choose another folder")
    args.output_dir.mkdir(parents=True, exist_ok=True)
    report.write_json(file, wanted)


def key_of(args: Namespace, entry: Entry) -> dict[str, Any]:
    """Columns that tell the row of a network from others."""
    return {"dataset": args.dataset, "method": entry.method, "budget": entry.bits, "seed": args.seed}


def measure(args: Namespace, entry: Entry, results: Results, scripts: Scripts) -> None:
    """Make and measure a network and write its row.

    Raises:
        ConfigError: a script fails.
    """
    name, file = f"{entry.method} {entry.bits}", args.output_dir / f"{entry.method}_{entry.bits}.json"
    begun = file.with_suffix(".begun")  # where making it was stopped, what is left does not say how long it takes
    timed, started = bool(entry.make) and not begun.exists(), time.perf_counter()
    begun.touch()
    for command in entry.make:
        scripts.run(name, command)
    seconds = time.perf_counter() - started
    record = evaluated(args, entry, scripts)
    cost = record["cost"]
    results.put(
        {
            **key_of(args, entry),
            "network": record["network"],
            "epochs": entry.epochs,
            "train_images": entry.images or (args.train_samples or "all" if entry.make else None),
            "samples": record["samples"],
            "top1": f"{100 * record['acc']:.2f}",
            "weight_bits": f"{cost['average_weight_bits']:.3f}",
            "activation_bits": f"{cost['average_activation_bits']:.3f}",
            "file_bytes": entry.file.stat().st_size,
            "bit_operations": round(cost["bit_operations"]),
            "seconds": f"{seconds:.0f}" if timed else None,
            "images_per_second": f"{record['images_per_second']:.0f}",
            "layers": json.dumps(cost["bits_of_layers"]),
        }
    )


def evaluated(args: Namespace, entry: Entry, scripts: Scripts) -> dict[str, Any]:
    """What the evaluation of a network records.

    Raises:
        ConfigError: the script fails.
    """
    file = args.output_dir / f"{entry.method}_{entry.bits}.json"
    words = ["--batch_size", str(args.batch_size), "--json", str(file)]
    words += ["--num_samples", str(args.num_samples)] if args.num_samples else []
    scripts.run(f"{entry.method} {entry.bits}", entry.evaluation, *words)
    return json.loads(file.read_text(encoding="utf-8"))


def measure_speeds(args: Namespace, results: Results, scripts: Scripts) -> None:
    """Put the images per second of now into all rows.

    Raises:
        ConfigError: a script fails.
    """
    rows = {(row["method"], row["budget"]): row for row in results.rows()}
    for entry in entries(args):
        speed = f"{evaluated(args, entry, scripts)['images_per_second']:.0f}"
        results.put({**rows[entry.method, str(entry.bits)], "images_per_second": speed})


def order(row: Mapping[str, str]) -> tuple[int, int]:
    """Sort key of a row: methods as they are named, most bits first."""
    return METHODS.index(row["method"]), -int(row["budget"])


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Make, measure, show."""
    args = config.parse(make_parser(), argv)
    settle(args)
    check_folder(args)
    results, scripts = Results(args.output_dir / "results.csv", KEYS), Scripts(shared(args), args.threads, args.jobs)
    missing = [entry for entry in entries(args) if not results.has(key_of(args, entry))]
    with kept(args.output_dir):
        for_each(missing, lambda entry: measure(args, entry, results, scripts), args.jobs, scripts.end)
        if args.speeds:
            measure_speeds(args, results, scripts)
    rows = sorted(results.rows(), key=order)
    report.write_json(args.output_dir / "results.json", {"rows": rows, "versions": report.versions()})
    write_text(args.output_dir / "results.md", table(rows) + "\n")
    pictures.draw(rows, args.output_dir)
    if args.record:
        recorded.keep(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
