"""Evaluate both schemes at all bits, with and without BatchNorm re-estimation, and record a row of results.csv each.

python reproduce.py --pretrained resnet20-addernet.pth --dataset_path CIFAR10 --seeds 0 1 2
"""

import itertools
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from AdderQuant import eval as evaluation
from AdderQuant.quant_config import SCHEMES
from common import report
from common.cli import reproduction, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.reproduction import add_pretrained, evaluated, folders_by_name
from common.report.results import Results, mean

RESULTS = Results(Path(__file__).parent / "results.csv", ("data", "samples", "scheme", "bits", "reestimated", "seed"))
# The paper's ResNet-20 on CIFAR-10 with re-estimation; the float row is without it. It has none below 4 bits.
PUBLISHED = {"32": "90.44", "8": "91.36", "6": "91.21", "5": "90.86", "4": "90.27", "3": "-", "2": "-"}


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record AdderQuant's results.", "CIFAR-10", training=False)
    add_pretrained(parser, "float network")
    seeds = "seeds of the calibration images, one run each"
    parser.add_argument("--seeds", type=typed.int_range(0), nargs="+", default=[1], help=seeds)
    parser.add_argument("--again", action="store_true", help="measure rows anew that are recorded already")
    return parser


def record(args: Namespace, scheme: str, bits: int, reestimate: bool, seed: int) -> None:
    """Evaluate one setting and write a row for each test set."""
    words = ["--train_dataset_path", args.dataset_path, "--scheme", scheme, "--bits", bits, "--seed", seed]
    words.append("--reestimate" if reestimate else "--no-reestimate")
    for name, folder in folders_by_name(args).items():
        key = {"data": name, "scheme": scheme, "bits": bits, "reestimated": reestimate, "seed": seed}
        if args.again or not RESULTS.has(key):
            result = evaluated(evaluation, args, args.pretrained, folder, *words)
            row = {"samples": result["samples"], "top1": f"{100 * result['acc']:.2f}", "loss": f"{result['loss']:.4f}"}
            row |= {"model_bytes": result["cost"]["model_bytes"], "mindspore": result["versions"]["mindspore"]}
            RESULTS.put(key | row)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of the README: mean and, over several seeds, standard deviation of the top-1 accuracy in percent."""
    lines = []
    for data, samples in dict.fromkeys((row["data"], row["samples"]) for row in rows):
        lines.append(f"{data}, N = {samples} test images:\n")
        here = [row for row in rows if (row["data"], row["samples"]) == (data, samples)]
        lines.append(report.markdown_table([_table_row(here, bits) for bits in PUBLISHED], list(_table_row(here, "8"))))
        lines.append("")
    return "\n".join(lines).rstrip()


def _table_row(rows: Sequence[Mapping[str, str]], bits: str) -> dict[str, str]:
    row = {"bits": "float" if bits == "32" else bits, "published": PUBLISHED[bits]}
    for scheme in SCHEMES:
        for flag, title in (("False", scheme), ("True", f"{scheme}, re-estimated")):
            chosen = [r for r in rows if (r["bits"], r["scheme"], r["reestimated"]) == (bits, scheme, flag)]
            row[title] = mean([float(r["top1"]) for r in chosen]) if chosen else ""
    row["model bytes"] = next((r["model_bytes"] for r in rows if r["bits"] == bits), "")
    return row


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run all settings, one after the other; recorded ones are left out, so that a stopped run goes on."""
    args = reproduction.parse(make_parser(), argv)
    for seed, bits, scheme, reestimate in itertools.product(args.seeds, map(int, PUBLISHED), SCHEMES, (False, True)):
        record(args, scheme, bits, reestimate, seed)


if __name__ == "__main__":
    main()
