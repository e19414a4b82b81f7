"""Time the project's networks side by side in one run, against each other and against PyTorch where it is installed.

usage: python scripts/benchmark.py adder|dambq|dynamic|ldnq|proqha [--rounds 7] [--batch_size N] [--json FILE]

Every candidate lives in a process of its own; they take turns, round by round, so that a machine whose speed drifts
treats them alike. Quoted are medians and ratios of the same run.
"""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.harness import machine

from common import report
from common.cli import typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser

BENCHMARKS = sorted(path.stem for path in (Path(__file__).parent / "benchmarks").glob("*.py"))
BENCHMARKS = [name for name in BENCHMARKS if name not in ("__init__", "harness", "torch_models")]


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = OptionParser("Time networks side by side.")
    parser.add_argument("benchmark", choices=BENCHMARKS, help="networks to time")
    parser.add_argument(
        "--batch_size",
        type=typed.positive_int,
        help="images per step; default: 128, for ldnq 500, for dynamic 128 and 16",
    )
    parser.add_argument("--rounds", type=typed.positive_int, default=7, help="number of turns of each candidate")
    parser.add_argument("--json", type=typed.path, metavar="FILE", help="write rows and machine as one JSON object")
    return parser


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run one benchmark and print its table."""
    args: argparse.Namespace = make_parser().parse_args(argv)
    print("; ".join(f"{key}: {value}" for key, value in machine().items()), file=sys.stderr)
    rows = importlib.import_module(f"benchmarks.{args.benchmark}").run(args)
    print(report.text_table(rows, list(rows[0])))
    if args.json:
        report.write_json(args.json, {"benchmark": args.benchmark, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
