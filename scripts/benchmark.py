"""Time the project's networks side by side in one run, against each other and against other libraries.

usage: python scripts/benchmark.py training|float|imagenet [--peers PYTHON] [--isa avx2] [--threads 2] [--json FILE]
                                   [--work NAME] [--candidates NAME...] [--before FOLDER]
       python scripts/benchmark.py engine [--work NAME] [--candidates NAME...] [--peers PYTHON] [--isa avx2]
                                   [--threads 2] [--json FILE]
       python scripts/benchmark.py latency [--peers PYTHON] [--rounds 15] [--work NAME] [--json FILE]
       python scripts/benchmark.py exports [--work onnxruntime|OpenVINO] [--candidates NAME...] [--peers PYTHON]
                                   [--threads 2] [--rounds 7] [--json FILE]
       python scripts/benchmark.py profile [--threads 2] [--isa avx2] [--json FILE]
       python scripts/benchmark.py data --images FOLDER [--peers PYTHON] [--threads 2] [--json FILE]
       python scripts/benchmark.py scale --images FOLDER [--work NAME] [--threads 2] [--json FILE]
       python scripts/benchmark.py coldstart [--rounds 7] [--json FILE]
       python scripts/benchmark.py adder|dambq|dynamic|ldnq|proqha [--rounds 7] [--batch_size N] [--json FILE]

Every candidate lives in a process of its own; they take turns, round by round, so that a machine whose speed drifts
treats them alike. Quoted are medians and ratios of the same run. The first line compares with PyTorch (eager,
channels_last, compiled), onnxruntime and OpenVINO, which may live in another environment:

python3 -m venv peers
peers/bin/pip install torch==2.13.0 onnxruntime==1.32.0 openvino==2026.4.1 onnx numpy
python scripts/benchmark.py training --peers peers/bin/python

With --before the networks of another checkout, for instance ``git worktree add ../before COMMIT``, take turns with this
one's; their rows are called "ours before":

python scripts/benchmark.py training --work "AdderNet training" --before ../before

The data pipelines are measured beside PyTorch's DataLoader, which needs peers/bin/pip install --no-deps
torchvision==0.28.0 pillow.
"""

import argparse
import importlib
import sys

from benchmarks import isa, processor
from benchmarks.harness import machine

from common import report
from common.cli import typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser

METHODS = ("adder", "dambq", "dynamic", "ldnq", "proqha")
SIDE_BY_SIDE = ("training", "float", "imagenet")
PROFILE, DATA, ENGINE, LATENCY, COLD_START, SCALE = "profile", "data", "engine", "latency", "coldstart", "scale"
EXPORTS = "exports"


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = OptionParser("Time networks side by side.")
    choices = (*METHODS, *SIDE_BY_SIDE, PROFILE, DATA, ENGINE, LATENCY, COLD_START, SCALE, EXPORTS)
    parser.add_argument("benchmark", choices=choices, help="networks to time")
    parser.add_argument(
        "--batch_size",
        type=typed.positive_int,
        help="images per step; default: 128, for ldnq 500, dynamic 128 and 16, imagenet 16, scale 32, data 64 and 128",
    )
    parser.add_argument("--rounds", type=typed.positive_int, default=7, help="number of turns of each candidate")
    parser.add_argument("--json", type=typed.path, metavar="FILE", help="write the rows as JSON")
    group = parser.add_argument_group("training, float, imagenet, engine, exports, profile, data and scale")
    group.add_argument("--threads", type=typed.positive_int, default=2, help="threads of each candidate")
    group.add_argument(
        "--peers",
        metavar="PYTHON",
        help="interpreter of an environment with torch, onnxruntime, openvino and onnx; default: this one. "
        "python3 -m venv peers; peers/bin/pip install torch==2.13.0 onnxruntime==1.32.0 openvino==2026.4.1 onnx numpy",
    )
    group.add_argument("--work", metavar="NAME", help="the only work to time, as its rows call it; default: all")
    group.add_argument(
        "--candidates", nargs="+", metavar="NAME", help="of training, float, imagenet, engine and exports; default: all"
    )
    help_before = "folder of another checkout of the project, whose networks are timed beside these"
    group.add_argument("--before", type=typed.path, metavar="FOLDER", help=help_before)
    group.add_argument(
        "--images", type=typed.path, metavar="FOLDER", help="class folders of JPEG files, for data and scale"
    )
    group.add_argument("--isa", choices=isa.CHOICES, default=isa.NATIVE, help="instructions that all are limited to")
    return parser


def measured(args: argparse.Namespace) -> list[dict]:
    """Rows of the benchmark that is asked for."""
    if args.benchmark in SIDE_BY_SIDE:
        from benchmarks import side_by_side

        return side_by_side.run(side_by_side.WORKS[args.benchmark], args)
    if args.benchmark != DATA:
        print("; ".join(f"{key}: {value}" for key, value in machine().items()), file=sys.stderr)
    return importlib.import_module(f"benchmarks.{args.benchmark}").run(args)


def record(benchmark: str, rows: list[dict]) -> list[dict] | dict:
    """Content of the JSON file: rows that name the processor; of a method's benchmark, an object with rows in it."""
    if benchmark in METHODS:
        return {"benchmark": benchmark, "machine": machine(), "rows": rows}
    hertz = processor.frequency()
    where = {"processor": processor.name(), "ghz": round(hertz / 1e9, 2) if hertz else None}
    return [row | where for row in rows]


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run one benchmark and print its table."""
    args: argparse.Namespace = make_parser().parse_args(argv)
    args.peers_environment = isa.limit(args.isa)
    rows = measured(args)
    columns = [column for column, value in rows[0].items() if not isinstance(value, list)]
    print(report.text_table([{column: row[column] for column in columns} for row in rows], columns))
    if args.json:
        report.write_json(args.json, record(args.benchmark, rows))


if __name__ == "__main__":
    main()
