"""Quantize and evaluate all settings, and record a row of results.csv each; rows that are there already are kept.

python reproduce.py --pretrained resnet20-12fca82f.th --arch resnet20 --dataset_path CIFAR10 \
    --seeds 1 2 3 4 5 --levels 3
"""

import json
import statistics
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import report
from common.cli import config, reproduction, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.reproduction import (
    add_network,
    add_pretrained,
    evaluated,
    folders_by_name,
    network_words,
    thread_words,
)
from common.report.results import Results, mean
from LDNQ import eval as evaluation
from LDNQ import main as quantization
from LDNQ.levels import LEVEL_COUNTS
from LDNQ.quant_config import GRANULARITIES

KEYS = ("network", "levels", "granularity", "mixed_views", "refine_steps", "refine_by", "images", "seed", "data")
# Options of main.py that a refinement takes.
_ADAM = ["--refine_by", "adam", "--searched_scales", "--refine_lr", 0.003]
_FEATURES = ["--config", Path(__file__).parent / "config" / "features.yaml"]
REFINED_BY = {"sgd": ["--refine_by", "sgd"], "adam": _ADAM, "features": _FEATURES}
RESULTS = Results(Path(__file__).parent / "results.csv", KEYS)


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record LDNQ's results.", "official", training=False)
    add_pretrained(parser, "float network")
    add_network(parser, "resnet20")
    levels, units = "numbers of levels of a weight", "units whose weights share a scale"
    parser.add_argument("--levels", type=int, nargs="+", choices=LEVEL_COUNTS, default=list(LEVEL_COUNTS), help=levels)
    parser.add_argument("--granularity", nargs="+", choices=GRANULARITIES, default=["channel"], help=units)
    steps = "training steps of the refinement, one run each; those of main.py if not given"
    parser.add_argument("--refine_steps", type=typed.int_range(0), nargs="+", metavar="N", help=steps)
    kinds = "refinement: sgd, adam at a rate of 0.003 from searched scales, or that of config/features.yaml"
    parser.add_argument("--refine_by", choices=REFINED_BY, default="features", help=kinds)
    mixed = "number of views, besides, that are mixtures of two images; those of main.py if not given"
    parser.add_argument("--mixed_views", type=typed.int_range(0), metavar="N", help=mixed)
    seeds = "seeds of the choice of images and of their augmentation, one run each"
    parser.add_argument("--seeds", type=typed.int_range(0), nargs="+", default=[1], help=seeds)
    images = "number of unlabelled training images, at least 2"
    parser.add_argument("--num_images", type=typed.int_range(2), default=500, help=images)
    return parser


def record_float(args: Namespace) -> None:
    """Evaluate the float network and write a row for each test set."""
    for name, folder in folders_by_name(args).items():
        row = {"network": args.arch, "levels": "float", "data": name}
        if not RESULTS.has(row):
            result = evaluated(evaluation, args, args.pretrained, folder, *network_words(args))
            row |= {"samples": result["samples"], "top1": f"{100 * result['acc']:.2f}"}
            RESULTS.put(row)


def record(args: Namespace, levels: int, granularity: str, refine_steps: int | None, seed: int) -> None:
    """Quantize with one setting and write a row for each test set."""
    refined_by = [str(word) for word in REFINED_BY[args.refine_by]]
    configured = config.parse(quantization.make_parser(), refined_by)
    steps = configured.refine_steps if refine_steps is None else refine_steps
    mixed = configured.mixed_views if args.mixed_views is None else args.mixed_views
    key = {"network": args.arch, "levels": levels, "granularity": granularity, "mixed_views": mixed}
    key |= {"refine_steps": steps, "refine_by": args.refine_by, "images": args.num_images, "seed": seed}
    if all(RESULTS.has({**key, "data": name}) for name in folders_by_name(args)):
        return
    folder = args.output_dir / "_".join(map(str, key.values()))
    words = ["--pretrained", args.pretrained, *network_words(args), "--dataset", "cifar10"]
    words += ["--dataset_path", args.dataset_path, "--num_images", args.num_images, "--levels", levels, "--seed", seed]
    words += ["--granularity", granularity, "--mixed_views", mixed, "--refine_steps", steps, "--output_dir", folder]
    words += [*refined_by, "--batch_size", reproduction.BATCH_SIZE]
    words += ["--json", folder / "result.json"]
    quantization.main([str(word) for word in words + thread_words(args)])
    made = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for name, path in folders_by_name(args).items():
        result = evaluated(evaluation, args, Path(made["checkpoint"]), path)
        row = {**key, "data": name, "samples": result["samples"]}
        row |= {"top1": f"{100 * result['acc']:.2f}", "file_bytes": Path(made["checkpoint"]).stat().st_size}
        row |= {"seconds": round(sum(made["stages"].values()), 1), "mindspore": result["versions"]["mindspore"]}
        RESULTS.put(row)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The tables of the README, one for each test set."""
    sets = dict.fromkeys((row["data"], row["samples"]) for row in rows)
    return "\n\n".join(f"{data} test images, N = {count}:\n\n{table_of(rows, data)}" for data, count in sets)


def table_of(rows: Sequence[Mapping[str, str]], data: str) -> str:
    """The table of one test set: mean and standard deviation of top-1 and of the drop, in percent."""
    lines = []
    chosen = [row for row in rows if row["data"] == data]
    for network in dict.fromkeys(row["network"] for row in chosen):
        here = [row for row in chosen if row["network"] == network]
        base = next((float(row["top1"]) for row in here if row["levels"] == "float"), None)
        lines += [_table_row(group, base) for group in _groups(here)]
    return report.markdown_table(lines, list(lines[0])) if lines else ""


def _groups(rows: Sequence[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Rows that differ in their seed alone."""
    groups: dict[tuple, list[Mapping[str, str]]] = {}
    for row in rows:
        levels = 0 if row["levels"] == "float" else int(row["levels"])
        numbers = [int(row[name] or 0) for name in ("mixed_views", "refine_steps", "images")]
        order = (levels, row["granularity"], *numbers, row["refine_by"])
        groups.setdefault(order, []).append(row)
    return [groups[key] for key in sorted(groups)]


def _table_row(group: Sequence[Mapping[str, str]], base: float | None) -> dict[str, str]:
    first, scores = group[0], [float(row["top1"]) for row in group]
    seconds = [float(row["seconds"]) for row in group if row.get("seconds")]
    floating = first["levels"] == "float" or base is None
    return {
        "network": first["network"],
        "levels": first["levels"],
        "images": first["images"] or "-",
        "scale per": first["granularity"] or "-",
        "mixed views": first["mixed_views"] or "-",
        "refinement steps": first["refine_steps"] or "-",
        "refined by": first["refine_by"] or "-",
        "top-1 %": mean(scores),
        "drop": "-" if floating else mean([base - score for score in scores]),
        "seeds": "-" if floating else str(len(scores)),
        "file bytes": first.get("file_bytes") or "-",
        "seconds": f"{statistics.median(seconds):.0f}" if seconds else "-",
    }


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run all settings, one after the other."""
    args = reproduction.parse(make_parser(), argv)
    record_float(args)
    for seed in args.seeds:
        for levels in args.levels:
            for granularity in args.granularity:
                for steps in args.refine_steps or [None]:
                    record(args, levels, granularity, steps, seed)


if __name__ == "__main__":
    main()
