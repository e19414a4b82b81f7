"""Make MobileNetV2's low-bit networks from 1,000 unlabelled images of ImageNet, and compare each with the float one.

python scripts/imagenet_table.py --dataset_path IMAGENET --pretrained mobilenet_v2-imagenet --output_dir outputs
python scripts/imagenet_table.py ... --rows ldnq11 ldnq11a8      # some of them
python scripts/imagenet_table.py ... --speed                     # then, on a quiet machine: images per second

IMAGENET has folders ``train`` and ``val``. Rows that results.csv in --output_dir has are kept; a run that was stopped
goes on. With --record, rows are also put beside those that the README shows.
"""

import json
import time
from argparse import Namespace

from comparison.jobs import Scripts
from imagenet.entries import Entry, entries
from imagenet.paired import compared
from imagenet.speed import images_per_second
from imagenet.table import RECORDED, table

from common.cli import config, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.report import read_rows
from common.report.results import Results

_BATCH = 50


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("MobileNetV2's low-bit networks on ImageNet.", evaluates=False)
    float_network = "float MobileNetV2 with torchvision's names"
    parser.add_argument("--pretrained", type=typed.checkpoint, metavar="FILE|NAME", required=True, help=float_network)
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="networks to make; default: all but the distilled")
    epochs = "epochs of each distillation"
    parser.add_argument("--epochs", type=typed.positive_int, default=4, help=epochs)
    speed = "make nothing: time the networks that are made, in float and on integers"
    parser.add_argument("--speed", action="store_true", help=speed)
    parser.add_argument("--record", action="store_true", help="keep rows for the README too")
    return parser


def chosen(args: Namespace) -> list[Entry]:
    """The networks that the options name, with the float one that they are compared with.

    Raises:
        ConfigError: a name that is none.
    """
    known = entries(args)
    usual = [name for name in known if not name.startswith("distilled")]
    names = dict.fromkeys(["float", *(args.rows or usual)])
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"rows: expected some of {', '.join(known)}, found {unknown[0]}")
    return [known[name] for name in names]


def measure(args: Namespace, entry: Entry, results: Results, scripts: Scripts) -> None:
    """Make and measure a network and write its row.

    Raises:
        ConfigError: a script fails.
    """
    started = time.perf_counter()
    for command in entry.make:
        scripts.run(entry.name, command)
    seconds = time.perf_counter() - started
    result, predictions = (args.output_dir / f"{entry.name}.{kind}" for kind in ("json", "csv"))
    words = ["--batch_size", str(_BATCH), "--json", str(result), "--predictions", str(predictions)]
    scripts.run(entry.name, entry.evaluation, *words)
    record = json.loads(result.read_text(encoding="utf-8"))
    pair = compared(read_rows(args.output_dir / "float.csv"), read_rows(predictions))
    results.put(
        {
            "name": entry.name,
            "network": record["network"],
            "method": entry.method,
            "label": entry.label,
            "training": entry.training,
            "seed": args.seed,
            "samples": pair.samples,
            "top1": f"{100 * record['acc']:.2f}",
            "agreement": f"{100 * pair.agreement:.2f}",
            "drop": f"{100 * pair.drop:.2f}",
            "drop_error": f"{100 * pair.error:.2f}",
            "p": f"{pair.p:.4f}",
            "engine": record["engine"],
            "file_bytes": entry.file.stat().st_size,
            "bit_operations": round(record["cost"]["bit_operations"]),
            "seconds": f"{seconds:.0f}" if entry.make else None,
        }
    )


def time_networks(args: Namespace, results: Results) -> None:
    """Add images per second to the rows whose networks are there."""
    rows, known = {row["name"]: row for row in results.rows()}, entries(args)
    for name in args.rows or rows:
        if name in rows:
            results.put(rows[name] | images_per_second(known[name].file, "mobilenet_v2"))


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Make, measure, show."""
    args = config.parse(make_parser(), argv)
    args.dataset = "imagenet"
    for name in ("pretrained", "output_dir", "dataset_path"):
        if value := getattr(args, name):
            setattr(args, name, value.resolve())
    results = Results(args.output_dir / "results.csv", ("name",))
    if args.speed:
        time_networks(args, results)
    else:
        words = ["--dataset", "imagenet", "--dataset_path", str(args.dataset_path), "--seed", str(args.seed)]
        scripts = Scripts(words, args.threads, 1)
        for entry in chosen(args):
            if not results.has({"name": entry.name}):
                measure(args, entry, results, scripts)
    for row in results.rows() if args.record else []:
        RECORDED.put(row)
    print(table(results.rows()))


if __name__ == "__main__":
    main()
