"""Train and evaluate all stages on CIFAR-10 and record a row of results.csv each; what is there already is kept.

python reproduce.py --pretrained FLOAT.ckpt --dataset_path CIFAR10

w4a4      from the float network, 4 bits everywhere
distilled the same for longer, with the float network's logits beside the labels
channel   from w4a4 to an average of 2 bits, allocated by channel
layer     the same, allocated by layer
network   the same number of bits everywhere: uniform quantization
"""

import shutil
from argparse import Namespace
from collections.abc import Mapping, Sequence
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
from common.errors import ConfigError
from common.report.results import Results
from DAMBQ import eval as evaluation
from DAMBQ import train as training

RESULTS = Results(Path(__file__).parent / "results.csv", ("network", "stage", "epochs", "seed", "data"))
COLUMNS = ("network", "stage", "weight_bits", "activation_bits", "epochs", "seed", "data", "samples", "top1")
COLUMNS += ("file_bytes", "hours", "mindspore")

# Options of train.py: for all stages, for those that go to 2 bits, and for each.
COMMON = {"batch_size": 128, "schedule": "cosine"}
FOUR_BITS = {"lr": 0.02, "epochs": 12, "wgt_target": 4, "act_target": 4, "weight_decay": 1e-4}
TWO_BITS = {"lr": 0.04, "epochs": 48, "wgt_target": 2, "act_target": 2, "duration": (0, 3), "weight_decay": 3e-5}
STAGES: dict[str, dict] = {
    "w4a4": FOUR_BITS,
    "distilled": {**FOUR_BITS, "epochs": 30, "distill_weight": 0.5, "distill_temperature": 4},
    "channel": {**TWO_BITS, "granularity": "channel", "shares": (0.4, 0.8)},
    "layer": {**TWO_BITS, "granularity": "layer", "shares": (0.4, 0.8)},
    "network": {**TWO_BITS, "granularity": "network", "shares": (1, 1)},
}
FROM_FLOAT = ("w4a4", "distilled")


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = reproduction.make_parser("Record DAMBQ's results.", "official")
    add_pretrained(parser, "float network")
    add_network(parser, "resnet20_conv")
    stages = "stages to run, in this order"
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES), help=stages)
    parser.add_argument("--epochs", type=typed.positive_int, help="epochs of every stage, in place of its recipe's")
    parser.add_argument("--seed", type=typed.int_range(0), default=0, help="seed of order and augmentation")
    return parser


def run_name(args: Namespace, stage: str) -> str:
    """Name of a stage's run."""
    return f"{args.arch}_{stage}_{epochs_of(args, stage)}epochs_seed{args.seed}"


def epochs_of(args: Namespace, stage: str) -> int:
    """Epochs of a stage: its recipe's, unless the command says others."""
    return args.epochs or STAGES[stage]["epochs"]


def train(args: Namespace, stage: str) -> Path:
    """Train a stage, or go on with it, and return its folder."""
    name, options = run_name(args, stage), {**COMMON, **STAGES[stage], "epochs": epochs_of(args, stage)}
    words = ["--run_name", name, "--dataset", "cifar10", "--dataset_path", args.dataset_path, "--seed", args.seed]
    words += ["--quantize", *network_words(args)]
    if "distill_weight" in options:
        words += ["--distill", args.pretrained]
    for option, value in options.items():
        words += [f"--{option}", *(value if isinstance(value, tuple) else (value,))]
    start = args.output_dir / run_name(args, "w4a4") / "final.ckpt"
    if stage in FROM_FLOAT:
        words += ["--pretrained", args.pretrained]
    elif start.exists():
        words += ["--init_from", start]
    else:
        raise ConfigError(f"stage {stage} starts from {start}, which is not there: run stage w4a4 first")
    training.main([str(word) for word in [*words, *thread_words(args), "--output_dir", args.output_dir]])
    return args.output_dir / name


def record(args: Namespace, stage: str) -> None:
    """Train a stage unless its rows are there, evaluate it and write its rows."""
    key = {"network": args.arch, "stage": stage, "epochs": epochs_of(args, stage), "seed": args.seed}
    if all(RESULTS.has({**key, "data": name}) for name in folders_by_name(args)):
        return
    folder = train(args, stage)
    checkpoint = folder / f"{folder.name}.ckpt"
    if (folder / "bits.png").exists():
        shutil.copy(folder / "bits.png", RESULTS.path.parent / f"bits_{stage}.png")
    for name, path in folders_by_name(args).items():
        row = {**dict.fromkeys(COLUMNS), **key, "data": name, **measure(args, checkpoint, path)}
        row["hours"] = f"{hours_of(folder):.2f}"
        RESULTS.put(row)


def record_start(args: Namespace) -> None:
    """Record the float network as it is, a row for each test set."""
    for name, path in folders_by_name(args).items():
        key = {"network": args.arch, "stage": "float", "epochs": 0, "seed": args.seed, "data": name}
        if not RESULTS.has(key):
            RESULTS.put({**dict.fromkeys(COLUMNS), **key, **measure(args, args.pretrained, path, *network_words(args))})


def measure(args: Namespace, checkpoint: Path, folder: str, *words: str) -> dict:
    """Figures of a network in a row."""
    record = evaluated(evaluation, args, checkpoint, folder, *words)
    bits = record["average_bits"]
    row = {"weight_bits": f"{bits['weights']:.3f}", "activation_bits": f"{bits['activations']:.3f}"}
    row |= {"samples": record["samples"], "top1": f"{100 * record['acc']:.2f}"}
    return row | {"file_bytes": checkpoint.stat().st_size, "mindspore": record["versions"]["mindspore"]}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of the README: a line per stage, a column per test set, drops from the float network before."""
    sets = list(dict.fromkeys((row["data"], row["samples"]) for row in rows))
    lines = []
    same = ("network", "stage", "epochs", "seed")
    for key in dict.fromkeys(tuple(row[name] for name in same) for row in rows):
        alike = [row for row in rows if tuple(row[name] for name in same) == key]
        line = {
            **dict(zip(same, key)),
            "W bits": alike[0]["weight_bits"],
            "A bits": alike[0]["activation_bits"],
        }
        for data, samples in sets:
            line[f"{data} top-1 % (N = {samples})"] = _score(alike, rows, data)
        lines.append({**line, "file bytes": alike[0]["file_bytes"], "hours": alike[0]["hours"] or "-"})
    return report.markdown_table(lines, list(lines[0])) if lines else ""


def _score(alike: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, str]], data: str) -> str:
    score = next((row["top1"] for row in alike if row["data"] == data), "-")
    floats = [row for row in rows if (row["network"], row["stage"]) == (alike[0]["network"], "float")]
    base = next((row["top1"] for row in floats if row["data"] == data), None)
    if score == "-" or base is None or alike[0]["stage"] in ("published", "float"):
        return score
    return f"{score} ({float(score) - float(base):+.2f})"


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Run the stages, one after the other."""
    args = reproduction.parse(make_parser(), argv)
    record_start(args)
    for stage in args.stages:
        record(args, stage)


if __name__ == "__main__":
    main()
