"""Train and evaluate static and dynamic networks on CIFAR-10 and record a row of results.csv each; rows there are kept.

python reproduce.py --pretrained FLOAT.ckpt --dataset_path CIFAR10 --seeds 0 1 2

float     the network of --pretrained, as it is
static    from float, t bits everywhere
dynamic   from float, t - 1, t or t + 1 bits for each image and layer, at no more bit operations than static
passes    static networks of t - 1, t and t + 1 bits, trained without --validation N images, which set the threshold of
          two passes, t - 1 bits for all images and t + 1 for those that it is not sure of; rows of t bits and of both

Static and dynamic networks are trained equally long, by the same recipe, on the same images, once for each seed and
quantizer. A run that was killed goes on when the command is given again.
"""

import shutil
import statistics
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common import report
from common.cli import reproduction, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.cli.reproduction import (
    add_network,
    add_pretrained,
    evaluated,
    folders_by_name,
    hours_of,
    network_words,
    thread_words,
)
from common.report.results import Results, mean
from DynamicQuant import eval as evaluation
from DynamicQuant import train as training
from DynamicQuant import two_passes
from DynamicQuant.quant_config import QUANTIZERS

KEYS = ("network", "stage", "quantizer", "bits", "epochs", "images", "seed", "data")
RESULTS = Results(Path(__file__).parent / "results.csv", KEYS)
COLUMNS = (*KEYS, "samples", "top1", "mean_bits", "bit_operations", "of_static", "entropy", "file_bytes", "hours")
COLUMNS += ("mindspore",)
ON_ALL = ("static", "dynamic")  # stages that train on all images; passes keeps some for its threshold
STAGES = (*ON_ALL, "passes")

# Options of train.py that all runs share.
COMMON = {
    "batch_size": 128,
    "schedule": "cosine",
    "warmup_epochs": 0,
    "dataset": "cifar10",
}


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        stage: one of ``STAGES``; or kept: static, without the images that are kept for a threshold.
        quantizer: quantizer of the network.
        bits: the target.
        seed: seed of order, augmentation, noise.
    """

    stage: str
    quantizer: str
    bits: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder, without what all runs of a command share."""
        return f"{self.stage}{self.bits}_{self.quantizer}_seed{self.seed}"


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record DynamicQuant's results.", "official")
    add_pretrained(parser, "float network")
    add_network(parser, "resnet20_conv")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(ON_ALL), help="stages to run")
    parser.add_argument(
        "--quantizers", nargs="+", choices=QUANTIZERS, default=list(QUANTIZERS), help="quantizers to run"
    )
    parser.add_argument("--bits", type=typed.int_range(3, 7), default=3, help="target bits t, 3 to 7")
    parser.add_argument("--epochs", type=typed.positive_int, default=10, help="epochs of each quantized network")
    parser.add_argument(
        "--lr", type=typed.positive_float, default=0.02, help="learning rate of the first step, quantized networks"
    )
    kept = "number of training images that stage passes keeps from training"
    parser.add_argument("--validation", type=typed.positive_int, default=5000, metavar="N", help=kept)
    images = "number of training images of all runs; all if not given"
    parser.add_argument("--train_samples", type=typed.positive_int, metavar="N", help=images)
    seeds = "seeds of order, augmentation and noise, one run each"
    parser.add_argument("--seeds", nargs="+", type=typed.int_range(0), default=[0, 1, 2], help=seeds)
    return parser


def runs_of(args: Namespace) -> Iterator[Run]:
    """The runs that the options name; static and dynamic ones of a seed follow each other."""
    for seed in args.seeds:
        for quantizer in args.quantizers:
            for stage in args.stages:
                yield Run(stage, quantizer, args.bits, seed)


def key_of(args: Namespace, run: Run) -> dict:
    """Columns that tell the rows of a run from others."""
    stage = "static" if run.stage == "kept" else run.stage
    kind = {"stage": stage, "quantizer": run.quantizer, "bits": run.bits, "epochs": args.epochs}
    images = f"{args.train_samples or 'all'}{'' if run.stage in ON_ALL else f' but {args.validation}'}"
    return {"network": args.arch, **kind, "images": images, "seed": run.seed}


def folder_of(args: Namespace, run: Run) -> Path:
    """Folder of a run; another length or number of images is another run."""
    return args.output_dir / f"{args.arch}_{run.name}_{args.epochs}epochs_{args.train_samples or 'all'}images"


def train(args: Namespace, run: Run) -> Path:
    """Train, or go on with it; returns the network to use."""
    folder = folder_of(args, run)
    options = {**COMMON, "dataset_path": args.dataset_path, "output_dir": args.output_dir, "run_name": folder.name}
    options |= {"seed": run.seed, "epochs": args.epochs, "lr": args.lr, "bits": run.bits}
    options |= {"pretrained": args.pretrained, "quantizer": run.quantizer}
    options |= {"train_samples": args.train_samples} if args.train_samples else {}
    flags = {"static": ["--static"], "kept": ["--static", "--validation", str(args.validation)]}.get(run.stage, [])
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    training.main([*words, *network_words(args), *thread_words(args), *flags])
    return folder / f"{folder.name}.ckpt"


def record(args: Namespace, run: Run) -> None:
    """Train a run unless its rows are there, evaluate it and write them."""
    key = key_of(args, run)
    if all(RESULTS.has({**key, "data": name}) for name in folders_by_name(args)):
        return
    checkpoint = train(args, run)
    hours = f"{hours_of(checkpoint.parent):.2f}"
    for name, path in folders_by_name(args).items():
        figures = measure(args, checkpoint, path, *(["--plots"] if run.stage == "dynamic" else []))
        RESULTS.put({**dict.fromkeys(COLUMNS), **key, "data": name, **figures, "hours": hours})
        if run.stage == "dynamic" and (run.seed, name) == (args.seeds[0], args.name):
            for picture in ("bits", "examples"):
                target = RESULTS.path.with_name(f"{picture}_{run.quantizer}{run.bits}.png")
                shutil.copy(args.output_dir / f"{picture}.png", target)


def record_passes(args: Namespace, run: Run) -> None:
    """Train the static networks of two passes and the one of their bit operations, unless the rows are there."""
    record(args, replace(run, stage="kept"))
    key = key_of(args, run)
    if all(RESULTS.has({**key, "data": name}) for name in folders_by_name(args)):
        return
    first, second = (train(args, replace(run, stage="kept", bits=run.bits + step)) for step in (-1, 1))
    about = {"file_bytes": first.stat().st_size + second.stat().st_size}
    about["hours"] = f"{hours_of(first.parent) + hours_of(second.parent):.2f}"
    options = {"second": second, "target_bits": run.bits, "validation": args.validation, "seed": run.seed}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)] + ["--augmented"]
    for name, path in folders_by_name(args).items():
        found = evaluated(two_passes, args, first, path, *words)
        both = list(found["networks"].values())[-1]
        figures = {"samples": found["samples"], "top1": f"{100 * both['acc']:.2f}"}
        figures |= {"of_static": f"{both['of_static']:.4f}", "mindspore": found["versions"]["mindspore"]}
        RESULTS.put({**dict.fromkeys(COLUMNS), **key, "data": name, **figures, **about})


def record_start(args: Namespace) -> None:
    """Record the float network as it is, a row for each test set."""
    for name, path in folders_by_name(args).items():
        key = {"network": args.arch, "stage": "float", "quantizer": "", "bits": 32, "epochs": 0}
        key |= {"images": "all", "seed": 0, "data": name}
        if not RESULTS.has(key):
            RESULTS.put({**dict.fromkeys(COLUMNS), **key, **measure(args, args.pretrained, path, *network_words(args))})


def measure(args: Namespace, checkpoint: Path, folder: str, *words: str) -> dict:
    """Figures of a network in a row."""
    record = evaluated(evaluation, args, checkpoint, folder, *words, "--output_dir", args.output_dir)
    row = {
        "samples": record["samples"],
        "top1": f"{100 * record['acc']:.2f}",
        "mindspore": record["versions"]["mindspore"],
    }
    if choices := record.get("choices"):
        row |= {"mean_bits": f"{choices['bits']['mean']:.3f}", "entropy": f"{choices['entropy']:.3f}"}
        row |= {"bit_operations": round(choices["bit_operations"]["mean"])}
        row["of_static"] = f"{choices['share_of_static']:.4f}"
    return {**row, "file_bytes": checkpoint.stat().st_size}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of the README: a line per kind of network, means and deviations over seeds, a column per test set."""
    same = ("network", "stage", "quantizer", "bits", "epochs", "images")
    sets = list(dict.fromkeys((row["data"], row["samples"]) for row in rows))
    lines = []
    for key in dict.fromkeys(tuple(row[name] for name in same) for row in rows):
        alike = [row for row in rows if tuple(row[name] for name in same) == key]
        line = dict(zip(same, key))
        line["seeds"] = len({row["seed"] for row in alike})
        for data, samples in sets:
            scores = [float(row["top1"]) for row in alike if row["data"] == data]
            line[f"{data} top-1 % (N = {samples})"] = mean(scores) if scores else "-"
        first = [row for row in alike if row["data"] == sets[0][0]]
        line |= {title: _average(first, name, form) for title, name, form in _FIGURES}
        lines.append(line)
    return report.markdown_table(lines, list(lines[0])) if lines else ""


_FIGURES = (
    ("mean bits", "mean_bits", ".2f"),
    ("bit operations / static", "of_static", ".3f"),
    ("entropy of choices", "entropy", ".2f"),
    ("hours", "hours", ".2f"),
)


def _average(rows: Sequence[Mapping[str, str]], name: str, form: str) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    return format(statistics.mean(values), form) if values else "-"


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Make the runs, one after the other."""
    args = reproduction.parse(make_parser(), argv)
    record_start(args)
    for run in runs_of(args):
        (record_passes if run.stage == "passes" else record)(args, run)


if __name__ == "__main__":
    main()
